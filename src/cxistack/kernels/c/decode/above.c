/* Bitshuffled chunks to the pixels above a threshold, block after block. */
#include "above.h"
#include "filters.h"
#include "unshuffle.h"

#include <string.h>

int cxi_above_check(const struct cxi_above *how)
{
    switch (how->element) {
    case 1:
    case 2:
    case 4:
    case 8:
        return how->element < 8 && how->least >> 8 * how->element ? CXI_BAD_FILTER : CXI_DECODED;
    default:
        return CXI_BAD_FILTER;
    }
}

/* Whether one of n pixels is good. */
static int is_wanted(const struct cxi_above *how, size_t first, size_t n)
{
    const char *good = how->good;
    if (!good)
        return 1;
    for (size_t i = first; i < first + n; i++) {
        if (i % 8 == 0 && first + n - i >= 64) {
            uint64_t word;
            memcpy(&word, good + i / 8, 8);
            if (word)
                return 1;
            i += 63;
        } else if (good[i / 8] >> i % 8 & 1) {
            return 1;
        }
    }
    return 0;
}

void cxi_above_raw(const char *src, size_t n, const struct cxi_above *how, size_t first,
                   struct cxi_hits *hits)
{
    const size_t element = how->element;
    const uint64_t sign = how->is_signed ? (uint64_t)1 << (8 * element - 1) : 0;
    const uint64_t least = how->least ^ sign;
    for (size_t i = 0; i < n; i++, src += element) {
        const size_t pixel = first + i;
        uint64_t value = 0;
        for (size_t b = 0; b < element; b++) {
            const size_t at = how->is_big_endian ? element - 1 - b : b;
            value |= (uint64_t)(unsigned char)src[at] << 8 * b;
        }
        if ((value ^ sign) < least || (how->good && !(how->good[pixel / 8] >> pixel % 8 & 1)))
            continue;
        const uint8_t v1 = (uint8_t)value;
        const uint16_t v2 = (uint16_t)value;
        const uint32_t v4 = (uint32_t)value;
        hits->pixels[hits->count] = (int64_t)pixel;
        memcpy(hits->values + hits->count++ * element,
               element == 1 ? (const void *)&v1 : element == 2 ? (const void *)&v2
               : element == 4 ? (const void *)&v4 : (const void *)&value, element);
    }
}

int cxi_bshuf_above(struct cxi_bshuf *it, const struct cxi_above *how, struct cxi_hits *hits)
{
    /* Planes are compared with the sign turned, so that all are like numbers without one. */
    struct cxi_above turned = *how;
    int status = cxi_above_check(how);
    if (!status && it->element != how->element)
        status = CXI_BAD_FILTER;
    if (!status && how->is_signed)
        turned.least ^= (uint64_t)1 << (8 * how->element - 1);
    while (!status && it->bytes > 0) {
        const size_t n = it->bytes / how->element, first = it->offset / how->element;
        const char *planes;
        if (hits->room - hits->count < n)
            return CXI_DECODED;
        if (!is_wanted(how, first, n)) {
            status = cxi_bshuf_next(it, NULL);
            continue;
        }
        status = cxi_bshuf_planes(it, &planes);
        if (status)
            return status;
        if (n < 8)
            cxi_above_raw(planes, n, how, first, hits);
        else
            it->decoder->unshuffle->above(planes, n, &turned, first, hits,
                                          it->decoder->unshuffle->planes);
    }
    return status;
}
