/* Undoes HDF5's shuffle: byte planes back to elements. */
#include "filters.h"

#include <string.h>

/* With the element's size known to the compiler, so that it interleaves whole vectors. */
static inline void interleave(const char *restrict src, char *restrict dst, size_t count,
                              size_t element)
{
    for (size_t i = 0; i < count; i++)
        for (size_t byte = 0; byte < element; byte++)
            dst[i * element + byte] = src[byte * count + i];
}

int cxi_undo_shuffle(size_t element, const char *src, size_t len, struct cxi_room *room)
{
    if (len > room->capacity || (room->exact && len != room->capacity))
        return CXI_WRONG_SIZE;
    room->size = len;
    const size_t count = len / element;
    switch (element) {
    case 2:
        interleave(src, room->dst, count, 2);
        break;
    case 4:
        interleave(src, room->dst, count, 4);
        break;
    case 8:
        interleave(src, room->dst, count, 8);
        break;
    default:
        interleave(src, room->dst, count, element);
    }
    /* A tail shorter than an element was left as it was. */
    memcpy(room->dst + count * element, src + count * element, len - count * element);
    return CXI_DECODED;
}
