/* Pixels of any size between a row and a stride: for targets with gaps and for opaque types. */
#ifndef CXISTACK_SCATTER_H
#define CXISTACK_SCATTER_H

#include <stddef.h>
#include <string.h>

static inline void cxi_pick_any(const char *src, ptrdiff_t step, char *dst, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++) memcpy(dst + i * size, src + (ptrdiff_t)i * step, size);
}

/* A constant size lets the compiler make each memcpy one move. */
#define CXI_SCATTER(bytes)                                                                        \
    case bytes:                                                                                   \
        for (size_t i = 0; i < n; i++)                                                            \
            memcpy(dst + (ptrdiff_t)i * step, src + i * (bytes), (bytes));                        \
        break;

static inline void cxi_scatter(const char *src, char *dst, ptrdiff_t step, size_t n, size_t size)
{
    switch (size) {
    CXI_SCATTER(1)
    CXI_SCATTER(2)
    CXI_SCATTER(4)
    CXI_SCATTER(8)
    CXI_SCATTER(16)
    default:
        for (size_t i = 0; i < n; i++) memcpy(dst + (ptrdiff_t)i * step, src + i * size, size);
    }
}
#undef CXI_SCATTER

/* Some pixels of a row, by their numbers, to a buffer or back from it; of 1, 2, 4 or 8 bytes. */
#define CXI_EXCHANGE(bytes)                                                                       \
    case bytes:                                                                                   \
        for (ptrdiff_t i = 0; i < n; i++) {                                                       \
            char *there = row + (ptrdiff_t)index[i] * (bytes), *here = buffer + i * (bytes);      \
            memcpy(back ? there : here, back ? here : there, (bytes));                            \
        }                                                                                         \
        break;

static inline void cxi_exchange(char *row, char *buffer, const int *index, ptrdiff_t n, size_t size,
                                int back)
{
    switch (size) {
    CXI_EXCHANGE(1)
    CXI_EXCHANGE(2)
    CXI_EXCHANGE(4)
    CXI_EXCHANGE(8)
    }
}
#undef CXI_EXCHANGE

#endif
