/* LZ4 blocks in wide strides: meson compiles this file once per SIMD level, each with its flags.
 *
 * Format: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
#include "lz4_strides.h"
#include "strides.h"

#define JOIN(a, b) a##b
#define FUNCTION(level) JOIN(cxi_lz4_strides_, level)

/* The format's rules for a block's end, as liblz4 checks them: the last 5 bytes are literals, and
 * no match begins in the last 12. */
enum { LAST_LITERALS = 5, MATCH_LIMIT = 12, LEAST_MATCH = 4, INPUT_LIMIT = 8 };

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

int FUNCTION(CXI_LEVEL)(const char *src, size_t len, char *dst, size_t size)
{
    const char *ip = src, *const iend = src + len;
    char *op = dst, *const oend = dst + size;
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
            repeat_strides(op, offset, length);
        }
        op += length;
    }
    return 0;
}
