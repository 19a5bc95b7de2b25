/* HDF5's shuffle: elements to byte planes. */
#include "filters.h"

#include <string.h>

/* With the element's size known to the compiler, so that it splits whole vectors. */
static inline void split(const char *restrict src, char *restrict dst, size_t count,
                         size_t element)
{
    for (size_t i = 0; i < count; i++)
        for (size_t byte = 0; byte < element; byte++)
            dst[byte * count + i] = src[i * element + byte];
}

ptrdiff_t cxi_do_shuffle(size_t element, const char *src, size_t len, char *dst, size_t dst_len)
{
    if (len > dst_len)
        return CXI_ENCODE_NO_ROOM;
    const size_t count = len / element;
    switch (element) {
    case 1:
        memcpy(dst, src, count);
        break;
    case 2:
        split(src, dst, count, 2);
        break;
    case 4:
        split(src, dst, count, 4);
        break;
    case 8:
        split(src, dst, count, 8);
        break;
    default:
        split(src, dst, count, element);
    }
    /* A tail shorter than an element stays as it is. */
    memcpy(dst + count * element, src + count * element, len - count * element);
    return (ptrdiff_t)len;
}
