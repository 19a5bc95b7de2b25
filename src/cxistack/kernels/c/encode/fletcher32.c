/* HDF5's Fletcher32 filter: the checksum follows the chunk, little-endian. */
#include "../decode/filters.h"
#include "filters.h"

ptrdiff_t cxi_do_fletcher32(char *dst, size_t len, size_t dst_len)
{
    if (dst_len < len || dst_len - len < 4)
        return CXI_ENCODE_NO_ROOM;
    const uint32_t sum = cxi_fletcher32((const unsigned char *)dst, len);
    for (int i = 0; i < 4; i++)
        dst[len + (size_t)i] = (char)(sum >> 8 * i);
    return (ptrdiff_t)(len + 4);
}
