/* Writes a long result once: rows are made in L1 and leave it in whole, aligned cache lines. */
#ifndef CXISTACK_SINK_H
#define CXISTACK_SINK_H

#include "rows.h"

#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* Short enough that reading the source and streaming the result take turns without a pause:
 * from 16 KiB on a cast measured up to a fifth slower. */
enum { CXI_SINK = 4096, CXI_LINE = 64 };

/* The buffer mirrors memory from the line that holds the next byte, so both are aligned alike;
 * bytes begin..end are waiting. Parts of a line, which another thread may share, are written by
 * ordinary stores. */
struct cxi_sink {
    char buffer[CXI_SINK] __attribute__((aligned(64)));
    char *line;
    size_t begin, end;
    cxi_stream stream;
};

static inline void cxi_sink_open(struct cxi_sink *sink, char *dst)
{
    sink->begin = sink->end = (uintptr_t)dst % CXI_LINE;
    sink->line = dst - sink->begin;
}

/* Where the next bytes go, and how many fit. */
static inline char *cxi_sink_next(struct cxi_sink *sink) { return sink->buffer + sink->end; }
static inline size_t cxi_sink_room(const struct cxi_sink *sink) { return CXI_SINK - sink->end; }
static inline char *cxi_sink_dst(const struct cxi_sink *sink) { return sink->line + sink->end; }

static inline void cxi_sink_flush(struct cxi_sink *sink)
{
    const size_t lines = sink->end - sink->end % CXI_LINE;
    if (lines == 0)
        return;
    size_t begin = sink->begin;
    if (begin > 0) {
        memcpy(sink->line + begin, sink->buffer + begin, CXI_LINE - begin);
        begin = CXI_LINE;
    }
    sink->stream(sink->buffer + begin, sink->line + begin, lines - begin);
    memcpy(sink->buffer, sink->buffer + lines, sink->end - lines);
    sink->line += lines;
    sink->begin = 0;
    sink->end -= lines;
}

/* n bytes were made where cxi_sink_next said; there is room for one more pixel of size bytes. */
static inline void cxi_sink_put(struct cxi_sink *sink, size_t n, size_t size)
{
    sink->end += n;
    if (cxi_sink_room(sink) < size)
        cxi_sink_flush(sink);
}

static inline void cxi_sink_close(struct cxi_sink *sink)
{
    cxi_sink_flush(sink);
    memcpy(sink->line + sink->begin, sink->buffer + sink->begin, sink->end - sink->begin);
    sink->begin = sink->end;
}

/* n bytes that need no work, past the buffer. */
static inline void cxi_sink_pass(struct cxi_sink *sink, const char *src, size_t n)
{
    cxi_sink_close(sink);
    char *dst = cxi_sink_dst(sink);
    const size_t head = (size_t)(-(uintptr_t)dst % CXI_LINE);
    if (n > head) {
        const size_t lines = (n - head) - (n - head) % CXI_LINE;
        memcpy(dst, src, head);
        sink->stream(src + head, dst + head, lines);
        memcpy(dst + head + lines, src + head + lines, n - head - lines);
    } else {
        memcpy(dst, src, n);
    }
    cxi_sink_open(sink, dst + n);
}

/* Streaming stores are unordered: before others are told that the bytes are there. */
static inline void cxi_fence(void)
{
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

#endif
