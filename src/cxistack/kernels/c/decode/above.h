/* Bitshuffled chunks to the pixels above a threshold: no dense chunk is made.
 *
 * A block's bit planes are compared with the threshold while they are in L1; only the pixels that
 * are above it are put together from them. Blocks without a good pixel are stepped over. */
#ifndef CXISTACK_DECODE_ABOVE_H
#define CXISTACK_DECODE_ABOVE_H

#include "decode.h"

/* What is looked for, in integers of 1, 2, 4 or 8 bytes. */
struct cxi_above {
    uint32_t element;    /* bytes of a pixel */
    int is_signed;
    int is_big_endian;   /* as they are stored */
    uint64_t least;      /* the least value that counts, its low bits as they are in memory */
    const char *good;    /* bit i % 8 of byte i / 8: whether pixel i is good; NULL: all are */
};

/* Where pixels go that are found: the caller's memory, for `room` of them. */
struct cxi_hits {
    int64_t *pixels;     /* places in the chunk */
    char *values;        /* in native byte order */
    size_t count, room;
};

int cxi_above_check(const struct cxi_above *how);

/* Goes on with a chunk that cxi_bshuf_open has begun, to its end or to a block of which more pixels
 * may be found than there is room for: then it->bytes is not 0, and the caller makes room for
 * it->bytes / element more, and calls again. After a failure, hits hold what came before. */
int cxi_bshuf_above(struct cxi_bshuf *it, const struct cxi_above *how, struct cxi_hits *hits);

/* The same for pixels that lie as they are, n of them, the first being pixel `first`; room is for
 * all of them. */
void cxi_above_raw(const char *src, size_t n, const struct cxi_above *how, size_t first,
                   struct cxi_hits *hits);

#endif
