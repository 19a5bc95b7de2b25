/* LZ4 blocks of bit planes: meson compiles this file once per SIMD level, each with its flags.
 *
 * Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
#include "lz4_planes.h"
#include "strides.h"

#define JOIN(a, b) a##b
#define FUNCTION(level) JOIN(cxi_lz4_planes_, level)

/* The format's rules for a block's end, as liblz4 checks them: the last 5 bytes are literals, and
 * no match begins in the last 12. */
enum { LAST_LITERALS = 5, MATCH_LIMIT = 12, LEAST_MATCH = 4, INPUT_LIMIT = 8 };

/* A run shorter than this is written out: it costs less than looking whether it is the last. */
enum { LONG_RUN = 128 };

/* More of a length, after 15 in the token. Stops at the end of the block, where the caller's
 * checks fail. */
static inline size_t more(const char **ip, const char *iend)
{
    size_t length = 0;
    unsigned char byte;
    do {
        if (*ip >= iend)
            break;
        byte = (unsigned char)*(*ip)++;
        length += byte;
    } while (byte == 255);
    return length;
}

/* Whether nothing but n zero literals is left from ip on. */
static inline int only_zeros(const char *ip, const char *iend, size_t n)
{
    if (n >= 15 || (size_t)(iend - ip) != n + 1 || (unsigned char)*ip >> 4 != n)
        return 0;
    for (size_t i = 1; i <= n; i++)
        if (ip[i])
            return 0;
    return 1;
}

int FUNCTION(CXI_LEVEL)(const char *src, size_t len, char *dst, size_t size, size_t eight,
                        size_t *used)
{
    const char *ip = src, *const iend = src + len;
    char *op = dst, *const oend = dst + size;
    *used = size / eight;
    /* Short of overflow in any sum of lengths, whatever they are. */
    if (len == 0 || len > 1 << 22 || size > 1 << 22)
        return 0;

    while (ip < iend) {
        const unsigned char token = (unsigned char)*ip++;
        size_t literals = token >> 4;
        if (literals < 15) {
            copy_16(op, ip);
            if (literals > (size_t)(iend - ip) || literals > (size_t)(oend - op))
                return 0;
        } else {
            literals += more(&ip, iend);
            if (literals > (size_t)(iend - ip) || literals > (size_t)(oend - op))
                return 0;
            copy_strides(op, ip, literals);
        }
        ip += literals;
        op += literals;
        if (oend - op < MATCH_LIMIT || iend - ip < INPUT_LIMIT)
            return ip == iend && op == oend;

        const size_t offset = (size_t)(unsigned char)ip[0] | (size_t)(unsigned char)ip[1] << 8;
        ip += 2;
        size_t length = (token & 15) + LEAST_MATCH;
        if (length == 15 + LEAST_MATCH)
            length += more(&ip, iend);
        if (offset == 0 || offset > (size_t)(op - dst)
            || length > (size_t)(oend - op) - LAST_LITERALS)
            return 0;
        if (offset >= 16 && length <= 16) {
            copy_16(op, op - offset);
        } else if (offset >= WIDE) {
            copy_strides(op, op - offset, length);
        } else {
            if (length >= LONG_RUN && offset == 1 && op[-1] == 0 && ip < iend
                && only_zeros(ip, iend, (size_t)(oend - op) - length)) {
                *used = ((size_t)(op - dst) + eight - 1) / eight;
                memset(op, 0, *used * eight - (size_t)(op - dst));
                return 1;
            }
            repeat_strides(op, offset, length);
        }
        op += length;
    }
    return 0;
}
