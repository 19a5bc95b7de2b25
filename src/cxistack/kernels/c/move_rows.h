/* Pixels moved as they are: picked out of a stride, byte-swapped, streamed past the caches. */

/* The steps of detector views get a loop of their own, which vectorises: whole rows, mirrored
 * rows, every 2nd and every 4th pixel. */
#define PICK(number, word)                                                                        \
    static void pick_##number(const char *src, ptrdiff_t step, char *dst, size_t n)               \
    {                                                                                             \
        const word *restrict p = (const word *)src;                                               \
        word *restrict q = (word *)dst;                                                           \
        const ptrdiff_t size = (ptrdiff_t)sizeof(word);                                           \
        size_t i;                                                                                 \
        if (step == size) {                                                                       \
            memcpy(dst, src, n * sizeof(word));                                                   \
        } else if (step == 2 * size) {                                                            \
            for (i = 0; i < n; i++) q[i] = p[2 * i];                                              \
        } else if (step == 4 * size) {                                                            \
            for (i = 0; i < n; i++) q[i] = p[4 * i];                                              \
        } else if (step == -size) {                                                               \
            for (i = 0; i < n; i++) q[i] = p[-(ptrdiff_t)i];                                      \
        } else {                                                                                  \
            for (i = 0; i < n; i++) q[i] = *(const word *)(src + (ptrdiff_t)i * step);            \
        }                                                                                         \
    }

typedef struct {
    uint64_t half[2];
} CXI_ANYWHERE u16_bytes;

PICK(0, u1)
PICK(1, u2)
PICK(2, u4)
PICK(3, u8)
PICK(4, u16_bytes)

/* src == dst is allowed: every pixel is read before it is written. */
#define SWAP(number, word, reversed)                                                              \
    static void swap_##number(const char *src, char *dst, size_t n)                               \
    {                                                                                             \
        const word *p = (const word *)src;                                                        \
        word *q = (word *)dst;                                                                    \
        for (size_t i = 0; i < n; i++) q[i] = reversed(p[i]);                                     \
    }

SWAP(1, u2, __builtin_bswap16)
SWAP(2, u4, __builtin_bswap32)
SWAP(3, u8, __builtin_bswap64)

#define GOOD(number, word)                                                                        \
    static void good_##number(const char *src, char *dst, size_t n, uint64_t bits)                \
    {                                                                                             \
        const word *restrict p = (const word *)src;                                               \
        u1 *restrict q = (u1 *)dst;                                                               \
        const word bad = (word)bits;                                                              \
        for (size_t i = 0; i < n; i++) q[i] = (u1)((p[i] & bad) == 0);                            \
    }

GOOD(0, u1)
GOOD(1, u2)
GOOD(2, u4)
GOOD(3, u8)

static void stream_lines(const char *src, char *dst, size_t n)
{
#if defined(__AVX512F__)
    for (size_t i = 0; i < n; i += 64)
        _mm512_stream_si512((void *)(dst + i), _mm512_loadu_si512((const void *)(src + i)));
#elif defined(__AVX2__)
    for (size_t i = 0; i < n; i += 32)
        _mm256_stream_si256((__m256i *)(dst + i), _mm256_loadu_si256((const __m256i *)(src + i)));
#elif defined(__SSE2__)
    for (size_t i = 0; i < n; i += 16)
        _mm_stream_si128((__m128i *)(dst + i), _mm_loadu_si128((const __m128i *)(src + i)));
#else
    memcpy(dst, src, n);
#endif
}
