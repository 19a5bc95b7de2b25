/* Damages sample chunks and decodes them between exact allocations; built with sanitizers.
 *
 * Usage: sanitized COUNT SEED SAMPLE...
 * A sample: uint32 filters, uint32 mask, uint64 chunk bytes; per filter uint32 kind, element,
 * block, codec; then the stored chunk. */
#include "above.h"
#include "filters.h"
#include "unshuffle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % below;
}

struct sample {
    struct cxi_pipeline pipeline;
    uint32_t mask;
    unsigned char *chunk;
    size_t length;
};

static void need(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "sanitized: %s\n", what);
        abort();
    }
}

static struct sample load(const char *name)
{
    struct sample s = {.mask = 0};
    uint32_t head[2], words[4];
    uint64_t bytes;
    FILE *file = fopen(name, "rb");
    need(file != NULL, name);
    need(fread(head, 4, 2, file) == 2 && fread(&bytes, 8, 1, file) == 1, name);
    s.pipeline.n = (int)head[0];
    s.mask = head[1];
    s.pipeline.chunk_bytes = bytes;
    for (int i = 0; i < s.pipeline.n; i++) {
        need(fread(words, 4, 4, file) == 4, name);
        s.pipeline.filter[i] =
            (struct cxi_filter){(int)words[0], words[1], words[2], (int)words[3]};
    }
    s.chunk = malloc(1 << 20);
    s.length = fread(s.chunk, 1, 1 << 20, file);
    fclose(file);
    return s;
}

static void put_32(unsigned char *at, uint64_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

static const uint32_t lengths[] = {0, 1, 3, 7, 8, 255, 4096, 0x7fffffff, 0x80000000u, 0xfffffff8u,
                                   0xffffffffu};

/* One kind of damage, in a buffer with room for some more bytes. */
static size_t damage(unsigned char *chunk, size_t n)
{
    if (n == 0)
        return 0;
    switch (draw(10)) {
    case 0:
    case 1:
        for (uint64_t k = 1 + draw(4) * draw(8); k > 0; k--)
            chunk[draw(n)] ^= (unsigned char)(1u << draw(8));
        return n;
    case 2:
        chunk[draw(n)] = (unsigned char)(255 * draw(2));
        return n;
    case 3:
        return draw(n);
    case 4:
        for (int k = 0; k < 32; k++)
            chunk[n + (size_t)k] = (unsigned char)draw(256);
        return n + 1 + draw(32);
    case 5:  /* the total */
        if (n >= 8) {
            put_32(chunk, draw(3) ? 0 : lengths[draw(11)]);
            put_32(chunk + 4, lengths[draw(11)]);
        }
        return n;
    case 6:  /* the block's size */
        if (n >= 12)
            put_32(chunk + 8, draw(2) ? lengths[draw(11)] : 8 * draw(9000));
        return n;
    case 7: {  /* a length in the chain of blocks */
        size_t at = 12;
        while (at + 4 <= n && draw(4)) {
            const uint64_t step = 4 + (uint64_t)cxi_big_endian_32((char *)chunk + at);
            if (step > n - at)
                break;
            at += step;
        }
        if (at + 4 <= n)
            put_32(chunk + at, draw(2) ? lengths[draw(11)]
                                       : cxi_big_endian_32((char *)chunk + at) + draw(9) - 4);
        return n;
    }
    case 8: {  /* a piece elsewhere */
        const size_t from = draw(n), to = draw(n);
        const size_t most = n - (from > to ? from : to);
        memmove(chunk + to, chunk + from, draw(most + 1));
        return n;
    }
    default: {  /* a piece gone */
        const size_t from = draw(n), size = draw(n - from < 20 ? n - from : 20);
        memmove(chunk + from, chunk + from + size, n - from - size);
        return n - size;
    }
    }
}

static void lie_about_filters(struct cxi_pipeline *pipeline)
{
    if (pipeline->n == 0 || draw(8))
        return;
    struct cxi_filter *filter = &pipeline->filter[draw((uint64_t)pipeline->n)];
    switch (draw(4)) {
    case 0:
        filter->element = draw(2) ? lengths[draw(11)] : (uint32_t)draw(20);
        break;
    case 1:
        filter->block = draw(2) ? lengths[draw(11)] : (uint32_t)draw(600) * 8;
        break;
    case 2:
        filter->codec = (int)draw(5);
        break;
    default:
        pipeline->chunk_bytes = draw(2 * pipeline->chunk_bytes + 2);
    }
}

/* The chunk in memory of exactly its size, from and to which sanitizers see every step aside. */
static int whole(struct cxi_decoder *decoder, const struct cxi_pipeline *pipeline, uint32_t mask,
                 const char *src, size_t n)
{
    const size_t scratch_len = cxi_decode_scratch(pipeline);
    if (scratch_len > 1 << 26 || pipeline->chunk_bytes > 1 << 26)
        return CXI_NO_ROOM;
    char *scratch = malloc(scratch_len), *dst = malloc(pipeline->chunk_bytes);
    const int status = cxi_decode_chunk(decoder, pipeline, mask, src, n, dst,
                                        pipeline->chunk_bytes, scratch, scratch_len);
    free(dst);
    free(scratch);
    return status;
}

static void blocks(struct cxi_decoder *decoder, const struct cxi_pipeline *pipeline,
                   const char *src, size_t n)
{
    struct cxi_bshuf it;
    const struct cxi_filter *filter = &pipeline->filter[0];
    const size_t scratch_len = cxi_bshuf_scratch(filter, pipeline->chunk_bytes);
    if (scratch_len > 1 << 26)
        return;
    char *scratch = malloc(scratch_len);
    int status = cxi_bshuf_open(&it, decoder, filter, pipeline->chunk_bytes, src, n, scratch,
                                scratch_len);
    while (!status && it.bytes > 0) {
        char *dst = draw(3) ? malloc(it.bytes) : NULL;
        status = cxi_bshuf_next(&it, dst);
        free(dst);
    }
    free(scratch);
}

/* Pixels above a threshold, in memory of exactly the room that was asked for, with a mask of exactly
 * its bits; where the chunk decodes, they are those of the pixels. */
static void above(struct cxi_decoder *decoder, const struct cxi_pipeline *pipeline,
                  const char *src, size_t n)
{
    struct cxi_bshuf it;
    const struct cxi_filter *filter = &pipeline->filter[0];
    const size_t scratch_len = cxi_bshuf_scratch(filter, pipeline->chunk_bytes);
    struct cxi_above how = {filter->element, (int)draw(2), (int)draw(2), draw(4) ? draw(9) : draw(256),
                            NULL};
    struct cxi_hits hits = {NULL, NULL, 0, 0};
    if (scratch_len > 1 << 26 || pipeline->chunk_bytes > 1 << 26)
        return;
    if (draw(16) == 0)
        how.element = (uint32_t)draw(10);
    const size_t pixels = how.element ? pipeline->chunk_bytes / how.element : 0;
    char *scratch = malloc(scratch_len), *good = malloc(pixels / 8 + 1);
    for (size_t i = 0; i < pixels / 8 + 1; i++)
        good[i] = (char)(draw(2) ? 0 : draw(256));
    if (draw(2))
        how.good = good;
    int status = cxi_bshuf_open(&it, decoder, filter, pipeline->chunk_bytes, src, n, scratch,
                                scratch_len);
    while (!status && it.bytes > 0) {
        const size_t more = how.element ? it.bytes / how.element : 1;
        const size_t offset = it.offset;
        if (hits.room - hits.count < more) {
            hits.room = hits.count + more + draw(2) * more;
            hits.pixels = realloc(hits.pixels, sizeof *hits.pixels * hits.room);
            hits.values = realloc(hits.values, (how.element ? how.element : 1) * hits.room);
        }
        status = cxi_bshuf_above(&it, &how, &hits);
        need(status || it.offset > offset, "a block is gone over and over");
    }
    for (size_t i = 0; i < hits.count; i++)
        need(hits.pixels[i] >= (i ? hits.pixels[i - 1] + 1 : 0) && (size_t)hits.pixels[i] < pixels,
             "pixels are found out of order");
    free(hits.pixels);
    free(hits.values);
    free(good);
    free(scratch);
}

/* A run of bytes as a block: what the stride decoder accepts, liblz4 does, too. */
static int strides(const struct cxi_unshuffle *table, const char *src, size_t n, size_t size)
{
    char *ours = malloc(size + CXI_LZ4_SLACK), *theirs = malloc(size);
    char *padded = malloc(n + CXI_LZ4_SLACK);
    memcpy(padded, src, n);
    memset(padded + n, 0xa5, CXI_LZ4_SLACK);
    const int done = table->lz4(padded, n, ours, size);
    if (done) {
        need(cxi_lz4_block(src, n, theirs, size) == CXI_DECODED, "liblz4 refuses a block");
        need(memcmp(ours, theirs, size) == 0, "liblz4 decodes a block to other bytes");
    }
    free(padded);
    free(theirs);
    free(ours);
    return done;
}

int main(int argc, char **argv)
{
    static const char *const levels[] = {"portable", "avx2", "avx512"};
    const uint64_t count = argc > 3 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t ends[CXI_STATUSES] = {0}, runs = 0, agreed = 0;
    struct cxi_decoder decoders[3];
    const int samples = argc - 3;
    struct sample *sample = calloc((size_t)argc, sizeof *sample);
    need(count > 0, "COUNT SEED SAMPLE...");
    state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < samples; i++)
        sample[i] = load(argv[i + 3]);
    for (int i = 0; i < 3; i++)
        need(cxi_decoder_open(&decoders[i], levels[i]) == CXI_DECODED, "no decoder");

    for (uint64_t i = 0; i < count; i++) {
        const struct sample *s = &sample[draw((uint64_t)samples)];
        struct cxi_pipeline pipeline = s->pipeline;
        struct cxi_decoder *decoder = &decoders[draw(3)];
        unsigned char *work = malloc(s->length + 256);
        size_t n = s->length;
        memcpy(work, s->chunk, n);
        for (uint64_t k = draw(4) ? 1 : 1 + draw(4); k > 0; k--)
            n = damage(work, n);
        lie_about_filters(&pipeline);
        char *exact = malloc(n);
        memcpy(exact, work, n);
        const uint32_t mask = draw(16) ? s->mask : (uint32_t)draw(256);
        ends[whole(decoder, &pipeline, mask, exact, n)]++;
        if (pipeline.n > 0 && pipeline.filter[0].kind == CXI_BITSHUFFLE) {
            blocks(decoder, &pipeline, exact, n);
            above(decoder, &pipeline, exact, n);
            /* The first block's data are a block on their own. */
            const uint32_t element = s->pipeline.filter[0].element;
            const size_t eights = s->pipeline.chunk_bytes / (8 * element);
            if (s->pipeline.filter[0].codec == CXI_CODEC_LZ4 && n > 16 && eights > 0) {
                const uint32_t stored = cxi_big_endian_32((char *)s->chunk + 12);
                const size_t block = cxi_big_endian_32((char *)s->chunk + 8);
                size_t size = 8 * element * (draw(4) ? eights : 1 + draw(eights + 2));
                if (size > block)
                    size = block;
                agreed += (uint64_t)strides(decoder->unshuffle, exact + 16,
                                            stored < n - 16 ? stored : n - 16, size);
                runs++;
            }
        }
        free(exact);
        free(work);
    }
    for (int i = 0; i < CXI_STATUSES; i++)
        if (ends[i])
            printf("%10llu  %s\n", (unsigned long long)ends[i], cxi_decode_error(i));
    if (runs)
        printf("%10llu  blocks for the stride decoder, which did %llu, all as liblz4\n",
               (unsigned long long)runs, (unsigned long long)agreed);
    for (int i = 0; i < 3; i++)
        cxi_decoder_close(&decoders[i]);
    for (int i = 0; i < samples; i++)
        free(sample[i].chunk);
    free(sample);
    return 0;
}
