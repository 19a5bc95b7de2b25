/* The atomic operations that jobs share between threads. */
#ifndef CXISTACK_ATOMICS_H
#define CXISTACK_ATOMICS_H

#include <stdint.h>

static inline int64_t cxi_atomic_add(int64_t *at, int64_t n)
{
    return __atomic_fetch_add(at, n, __ATOMIC_ACQ_REL);
}

static inline int64_t cxi_atomic_load(const int64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void cxi_atomic_store(int64_t *at, int64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static inline void cxi_atomic_min(int64_t *at, int64_t value)
{
    int64_t seen = __atomic_load_n(at, __ATOMIC_ACQUIRE);
    while (value < seen
           && !__atomic_compare_exchange_n(at, &seen, value, 0, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE)) {
    }
}

/* The next number, unless that is `limit` already: then -1. */
static inline int64_t cxi_atomic_take(int64_t *at, int64_t limit)
{
    int64_t seen = __atomic_load_n(at, __ATOMIC_ACQUIRE);
    while (seen < limit)
        if (__atomic_compare_exchange_n(at, &seen, seen + 1, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return seen;
    return -1;
}

#endif
