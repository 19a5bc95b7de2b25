/* Calls of the C interface, timed where they are made: in C. Python hands over addresses. */
#define CXISTACK_NO_PYTHON
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cxistack/capi.h>

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

/* Seconds of a cast of n uint16 to float32; with the type of `dst` as given. */
double cast_seconds(const cxistack_capi *cxi, void *src, void *dst, int type, int64_t rows,
                    int64_t columns, int64_t loops)
{
    const int64_t shape[2] = {rows, columns};
    const cxistack_pixels from = {src, CXISTACK_UINT16, 0, 2, 0, shape, NULL};
    const cxistack_pixels to = {dst, type, 0, 2, 0, shape, NULL};
    const double begin = now();
    for (int64_t k = 0; k < loops; k++)
        if (cxi->cast(&from, &to, 0))
            return -1;
    return (now() - begin) / (double)loops;
}

struct reader {
    const cxistack_capi *cxi;
    cxistack_load *load;
    int64_t loops, pixel_bytes, share;  /* in how many hundredths of the frames it begins */
    int failed;
};

static void *read_all(void *argument)
{
    struct reader *mine = argument;
    int64_t shape[CXISTACK_MOST_AXES], bytes = mine->pixel_bytes;
    for (int axis = mine->cxi->frame_shape(mine->load, shape) - 1; axis >= 0; axis--)
        bytes *= shape[axis];
    const int64_t count = mine->cxi->frame_count(mine->load);
    cxistack_scratch *scratch = mine->cxi->scratch_open(mine->load);
    void *frame = malloc((size_t)bytes);
    mine->failed = !frame || !scratch;
    for (int64_t k = 0; k < mine->loops && !mine->failed; k++) {
        const int64_t number = (k + count * mine->share / 100) % count;
        mine->failed = mine->cxi->read(mine->load, &number, 1, frame, NULL, scratch, NULL, 0);
    }
    free(frame);
    mine->cxi->scratch_close(scratch);
    return NULL;
}

enum { MOST = 64 };

/* Seconds a frame, each thread reading `loops` of them one by one. */
double read_seconds(const cxistack_capi *cxi, void *handle, int threads, int64_t loops)
{
    pthread_t ids[MOST];
    struct reader readers[MOST];
    cxistack_load *load = cxi->open(handle, NULL, 0);
    int failed = !load || threads > MOST;
    const double begin = now();
    for (int k = 0; k < threads && !failed; k++) {
        readers[k] = (struct reader){cxi, load, loops,
                                     (int64_t)cxi->pixel_size(cxi->frame_type(load)),
                                     100 * k / threads, 0};
        if (pthread_create(&ids[k], NULL, read_all, &readers[k]))
            abort();
    }
    for (int k = 0; k < threads && !failed; k++)
        pthread_join(ids[k], NULL);
    const double end = now();
    for (int k = 0; k < threads && !failed; k++)
        failed = readers[k].failed;
    cxi->close(load);
    return failed ? -1 : (end - begin) / (double)(loops * threads);
}

struct bare {
    int descriptor, failed;
    int64_t loops, first, count, bytes, offset;
};

static void *pread_all(void *argument)
{
    struct bare *mine = argument;
    void *frame = malloc((size_t)mine->bytes);
    for (int64_t k = 0; k < mine->loops && !mine->failed; k++) {
        const int64_t at = mine->offset + (mine->first + k) % mine->count * mine->bytes;
        mine->failed = pread(mine->descriptor, frame, (size_t)mine->bytes, at) != mine->bytes;
    }
    free(frame);
    return NULL;
}

/* Seconds a frame of the same bytes read by pread alone: all threads from one descriptor, or each
 * from one of its own. */
double pread_seconds(const char *path, int64_t offset, int64_t bytes, int64_t count, int threads,
                     int own, int64_t loops)
{
    pthread_t ids[MOST];
    struct bare readers[MOST];
    int failed = threads > MOST;
    const double begin = now();
    for (int k = 0; k < threads && !failed; k++) {
        const int descriptor = k && !own ? readers[0].descriptor : open(path, O_RDONLY);
        readers[k] = (struct bare){descriptor, descriptor < 0, loops, count * k / threads, count,
                                   bytes, offset};
        if (pthread_create(&ids[k], NULL, pread_all, &readers[k]))
            abort();
    }
    for (int k = 0; k < threads && !failed; k++)
        pthread_join(ids[k], NULL);
    const double end = now();
    for (int k = 0; k < threads && threads <= MOST; k++) {
        failed |= readers[k].failed;
        if (k == 0 || own)
            close(readers[k].descriptor);
    }
    return failed ? -1 : (end - begin) / (double)(loops * threads);
}
