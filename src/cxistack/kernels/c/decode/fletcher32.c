/* Checks HDF5's Fletcher32 checksum: the last four bytes, little-endian, of those before. */
#include "filters.h"

/* Sums of 16-bit big-endian words, modulo 65535 with 65535 in place of 0 (but 0 for no words or
 * all zero). A block's second sum is taken by weights, which has no chain of additions. */
enum { BLOCK = 256 };

static uint64_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

uint32_t cxi_fletcher32(const unsigned char *data, size_t len)
{
    uint64_t first = 0, second = 0;
    size_t words = len / 2;
    while (words > 0) {
        const uint32_t n = words < BLOCK ? (uint32_t)words : BLOCK;
        uint32_t sum = 0, weighted = 0;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t word = (uint32_t)data[2 * i] << 8 | data[2 * i + 1];
            sum += word;
            weighted += (n - i) * word;  /* at most 65535 * 256 * 257 / 2 */
        }
        second = fold(second + n * first + weighted);
        first = fold(first + sum);
        data += 2 * (size_t)n;
        words -= n;
    }
    if (len % 2) {
        first = fold(first + ((uint32_t)data[0] << 8));
        second = fold(second + first);
    }
    return (uint32_t)(second << 16 | first);
}

int cxi_check_fletcher32(const char *src, size_t *len)
{
    if (*len < 4)
        return CXI_TRUNCATED;
    const unsigned char *at = (const unsigned char *)src + *len - 4;
    const uint32_t stored =
        (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
    const uint32_t sum = cxi_fletcher32((const unsigned char *)src, *len - 4);
    /* Old writers had the bytes of each half swapped; HDF5 accepts that, too. */
    const uint32_t swapped = (sum & 0x00ff00ff) << 8 | (sum >> 8 & 0x00ff00ff);
    if (stored != sum && stored != swapped)
        return CXI_BAD_CHECKSUM;
    *len -= 4;
    return CXI_DECODED;
}
