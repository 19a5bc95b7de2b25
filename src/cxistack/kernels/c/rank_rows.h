/* Values by their rank among frames, pixel by pixel; included once by each SIMD level. */

/* A tile is CXI_RANKED pixels of every frame, as unsigned keys in the order of the values. What is
 * not good, and NaN, is the largest key: it comes last. */
#define SIGN(u) ((u)1 << (8 * sizeof(u) - 1))

/* Keys of one frame. `all` gathers the bits that any good key has; a pixel's `counts` goes up where
 * it is good, if there is a mask, and `nans` where it is NaN. */
#define KEYS(s, x, u, key, is_nan)                                                                \
    static void keys_##s(const char *src, const char *good, char *dst, void *all,                 \
                         uint32_t *counts, uint32_t *nans, size_t n)                              \
    {                                                                                             \
        const x *restrict a = (const x *)src;                                                     \
        u *restrict k = (u *)dst, bits = *(u *)all;                                               \
        if (good == NULL && !(HAS_NAN_##s)) {                                                     \
            for (size_t i = 0; i < n; i++) {                                                      \
                const x v = a[i];                                                                 \
                k[i] = (u)(key);                                                                  \
                bits |= k[i];                                                                     \
            }                                                                                     \
            *(u *)all = bits;                                                                     \
            return;                                                                               \
        }                                                                                         \
        for (size_t i = 0; i < n; i++) {                                                          \
            const x v = a[i];                                                                     \
            const u wrong = (is_nan) ? (u)~(u)0 : 0;                                              \
            const u bad = good != NULL && good[i] == 0 ? (u)~(u)0 : 0;                            \
            const u made = (u)(key);                                                              \
            k[i] = (u)(made | wrong | bad);                                                       \
            bits |= (u)(made & (u)~(wrong | bad));                                                \
            counts[i] += bad == 0;                                                                \
            nans[i] += wrong != 0 && bad == 0;                                                    \
        }                                                                                         \
        *(u *)all = bits;                                                                         \
    }                                                                                             \
    static void values_##s(const void *keys, char *dst, size_t n)                                 \
    {                                                                                             \
        const u *restrict k = keys;                                                               \
        x *restrict q = (x *)dst;                                                                 \
        for (size_t i = 0; i < n; i++) {                                                          \
            const u v = k[i];                                                                     \
            q[i] = VALUE_##s;                                                                     \
        }                                                                                         \
    }

#define HAS_NAN_b1 0
#define HAS_NAN_i1 0
#define HAS_NAN_i2 0
#define HAS_NAN_i4 0
#define HAS_NAN_i8 0
#define HAS_NAN_u1 0
#define HAS_NAN_u2 0
#define HAS_NAN_u4 0
#define HAS_NAN_u8 0
#define HAS_NAN_f4 1
#define HAS_NAN_f8 1

#define VALUE_b1 v
#define VALUE_u1 v
#define VALUE_u2 v
#define VALUE_u4 v
#define VALUE_u8 v
#define VALUE_i1 (uint8_t)(v ^ SIGN(uint8_t))
#define VALUE_i2 (uint16_t)(v ^ SIGN(uint16_t))
#define VALUE_i4 v ^ SIGN(uint32_t)
#define VALUE_i8 v ^ SIGN(uint64_t)
#define VALUE_f4 v & SIGN(uint32_t) ? v ^ SIGN(uint32_t) : ~v
#define VALUE_f8 v & SIGN(uint64_t) ? v ^ SIGN(uint64_t) : ~v

/* Floats are ordered as their bits, those of negative ones the other way round. */
#define FLOAT_KEY(u) (v & SIGN(u) ? ~v : v | SIGN(u))

KEYS(b1, u1, uint8_t, v != 0, 0)
KEYS(i1, u1, uint8_t, v ^ SIGN(uint8_t), 0)
KEYS(i2, u2, uint16_t, v ^ SIGN(uint16_t), 0)
KEYS(i4, u4, uint32_t, v ^ SIGN(uint32_t), 0)
KEYS(i8, u8, uint64_t, v ^ SIGN(uint64_t), 0)
KEYS(u1, u1, uint8_t, v, 0)
KEYS(u2, u2, uint16_t, v, 0)
KEYS(u4, u4, uint32_t, v, 0)
KEYS(u8, u8, uint64_t, v, 0)
KEYS(f4, u4, uint32_t, FLOAT_KEY(uint32_t), (v & ~SIGN(uint32_t)) > UINT32_C(0x7f800000))
KEYS(f8, u8, uint64_t, FLOAT_KEY(uint64_t),
     (v & ~SIGN(uint64_t)) > UINT64_C(0x7ff0000000000000))

/* The keys at ranks 0, 1, ... of each pixel, found bit by bit from `top` on: the largest key that no
 * more than `ranks` keys lie below. Counts of a block of frames fit lanes as wide as the keys. */
#define RANKED(u, most)                                                                           \
    static void count_##u(const u *restrict tile, size_t frames, const u *restrict bound,         \
                          uint32_t *restrict counts)                                              \
    {                                                                                             \
        memset(counts, 0, CXI_RANKED * sizeof(*counts));                                          \
        for (size_t f = 0; f < frames;) {                                                         \
            const size_t end = frames - f > (most) ? f + (most) : frames;                         \
            u lanes[CXI_RANKED] = {0};                                                            \
            for (; f < end; f++)                                                                  \
                for (size_t i = 0; i < CXI_RANKED; i++)                                           \
                    lanes[i] += tile[f * CXI_RANKED + i] < bound[i];                              \
            for (size_t i = 0; i < CXI_RANKED; i++)                                               \
                counts[i] += (uint32_t)lanes[i];                                                  \
        }                                                                                         \
    }                                                                                             \
    static void ranked_##u(const void *tile, size_t frames, const void *all,                      \
                           const uint32_t *ranks, void *low, void *high)                          \
    {                                                                                             \
        const u *restrict keys = tile;                                                            \
        u *restrict found = low, *restrict next = high;                                           \
        u bound[CXI_RANKED], bit;                                                                 \
        uint32_t counts[CXI_RANKED];                                                              \
        memset(found, 0, CXI_RANKED * sizeof(u));                                                 \
        for (bit = SIGN(u); bit > *(const u *)all && bit > 1; bit >>= 1)                          \
            ;                                                                                     \
        for (; bit != 0; bit >>= 1) {                                                             \
            for (size_t i = 0; i < CXI_RANKED; i++)                                               \
                bound[i] = found[i] | bit;                                                        \
            count_##u(keys, frames, bound, counts);                                               \
            for (size_t i = 0; i < CXI_RANKED; i++)                                               \
                found[i] = counts[i] <= ranks[i] ? bound[i] : found[i];                           \
        }                                                                                         \
        /* The next in order is the same again, or the least that is larger. */                   \
        u least[CXI_RANKED];                                                                      \
        memset(least, 0xff, sizeof(least));                                                       \
        memcpy(bound, found, sizeof(bound));                                                      \
        for (size_t f = 0; f < frames; f++) {                                                     \
            const u *restrict row = keys + f * CXI_RANKED;                                        \
            for (size_t i = 0; i < CXI_RANKED; i++) {                                             \
                const u beyond = (u)(row[i] | (u)((row[i] > bound[i]) - 1));                      \
                least[i] = beyond < least[i] ? beyond : least[i];                                 \
            }                                                                                     \
        }                                                                                         \
        for (size_t i = 0; i < CXI_RANKED; i++)                                                   \
            bound[i] = (u)(found[i] + (found[i] != (u)~(u)0));                                    \
        count_##u(keys, frames, bound, counts);                                                   \
        for (size_t i = 0; i < CXI_RANKED; i++)                                                   \
            next[i] = counts[i] > ranks[i] + 1 ? found[i] : least[i];                              \
    }

RANKED(uint8_t, 255)
RANKED(uint16_t, 65535)
RANKED(uint32_t, UINT32_MAX)
RANKED(uint64_t, UINT32_MAX)

#define RANKS                                                                                     \
    {{keys_b1, values_b1, ranked_uint8_t},  {keys_i1, values_i1, ranked_uint8_t},                 \
     {keys_i2, values_i2, ranked_uint16_t}, {keys_i4, values_i4, ranked_uint32_t},                \
     {keys_i8, values_i8, ranked_uint64_t}, {keys_u1, values_u1, ranked_uint8_t},                 \
     {keys_u2, values_u2, ranked_uint16_t}, {keys_u4, values_u4, ranked_uint32_t},                \
     {keys_u8, values_u8, ranked_uint64_t}, {keys_f4, values_f4, ranked_uint32_t},                \
     {keys_f8, values_f8, ranked_uint64_t}}
