/* cxistack for C: pixels cast, cut, binned, corrected, decoded and encoded in your own buffers, and
 * loads that were prepared in Python read on your own threads.
 *
 *     static const cxistack_capi *cxi;
 *     ...
 *     cxi = cxistack_import();           (once, with the GIL; NULL: an ImportError is set)
 *
 * All but cxistack_import, open and close needs no GIL, does not look at it, and knows no Python
 * object. Every function may be called by any number of threads at once, but for what it says of
 * its arguments.
 *
 * Shapes count pixels, strides count bytes and have any sign; addresses need no alignment. Unless
 * a function says otherwise, its result does not overlap what it reads, and a function that fails
 * leaves it undefined. Memory is allocated by functions that open, by encode with zstd the first
 * time, and by read where its scratch is none or too small.
 *
 * The table only grows: what is there stays where it is, and means what it meant. */
#ifndef CXISTACK_CAPI_H
#define CXISTACK_CAPI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes when what is in the table means something else; a table of another is refused. */
#define CXISTACK_ABI 1
/* Counts the additions to the table; one of an older is refused. */
#define CXISTACK_API 3
/* Define it before the header is included, to be content with a package of an older API; functions
 * that are younger are then not to be called. */
#ifndef CXISTACK_TARGET_API
#define CXISTACK_TARGET_API CXISTACK_API
#endif

/* ------------------------------------------------------------------ what calls are made of */

/* Types of pixels. */
enum {
    CXISTACK_BOOL = 0,
    CXISTACK_INT8 = 1,
    CXISTACK_INT16 = 2,
    CXISTACK_INT32 = 3,
    CXISTACK_INT64 = 4,
    CXISTACK_UINT8 = 5,
    CXISTACK_UINT16 = 6,
    CXISTACK_UINT32 = 7,
    CXISTACK_UINT64 = 8,
    CXISTACK_FLOAT32 = 9,
    CXISTACK_FLOAT64 = 10
};

/* What functions return. */
enum {
    CXISTACK_OK = 0,
    CXISTACK_LOST = 1,          /* a value does not fit the result's type */
    CXISTACK_MORE = 2,          /* there is more than there is room for */
    CXISTACK_BAD_ARGUMENT = -1, /* a type, a shape or a length that is none, or fits no other */
    CXISTACK_BAD_INDEX = -2,    /* a frame or a pixel that is not there */
    CXISTACK_NO_MEMORY = -3,
    CXISTACK_BAD_FILTER = -4,   /* filters that this build does not know, or of wrong parameters */
    CXISTACK_BAD_CHUNK = -5,    /* what is stored does not decode */
    CXISTACK_DEAD_PIXEL = -6,   /* a good pixel whose whitefield is 0, or whose result none */
    CXISTACK_NOT_READ = -7,     /* the file cannot be read; the text says why */
    CXISTACK_CHANGED = -8,      /* the file is not what it was when the load was opened */
    CXISTACK_NO_VALUE = -9      /* a pixel has no good value, and no fill was given (API 3) */
};

enum { CXISTACK_MOST_AXES = 32 };

/* How. */
enum {
    CXISTACK_UNSAFE = 1,  /* values that do not fit are cast as C casts them, and none is LOST */
    CXISTACK_MEAN = 2,    /* bins are averaged, not summed */
    CXISTACK_LOWER = 4    /* the value at a rank or below it, not between two (API 3) */
};

/* Pixels in memory: the caller's, for as long as the call takes. */
typedef struct cxistack_pixels {
    void *data;
    int32_t type;
    int32_t swapped;          /* not 0: in the other byte order; only of what is read */
    int32_t axes;             /* 1 to CXISTACK_MOST_AXES */
    int32_t reserved;         /* 0 */
    const int64_t *shape;
    const int64_t *strides;   /* NULL: C order, no gaps */
} cxistack_pixels;

/* Pixels of an axis: start, start + step, ...; all of them are there. */
typedef struct cxistack_axis {
    int64_t start;
    int64_t step;  /* not 0 */
    int64_t count;
} cxistack_axis;

/* A filter by its HDF5 number (1 deflate, 2 shuffle, 3 fletcher32, 32004 LZ4, 32008 bitshuffle,
 * 32015 zstd) and its parameters, as the dataset's creation property list tells them. */
typedef struct cxistack_filter {
    uint32_t number;
    uint32_t count;
    const uint32_t *values;
} cxistack_filter;

/* What frames are brought together in: arrays of yours, a value for each pixel of a frame in C order,
 * aligned as their types are; NULL: not wanted. (API 3) */
typedef struct cxistack_moments {
    int64_t frames;     /* brought in so far; 0: the arrays hold nothing yet, and need no zeros */
    int64_t *count;     /* good values; needed where flags are given, from the first frame on */
    void *total;        /* sums: int64_t of signed integers, double of floats, uint64_t of others */
    double *rest;       /* goes with total of floats, and of them alone: the sum is total + rest */
    uint64_t *squares;  /* sums of squares, with total; of booleans and integers up to 16 bits */
    double *mean;       /* with spread; of integers of 32 and 64 bits, and of floats */
    double *spread;     /* sums of squared distances from the mean */
    void *lowest;       /* of src's type, as highest is; where no value was good, lowest is the */
    void *highest;      /* largest value of the type, and highest the least */
} cxistack_moments;

typedef struct cxistack_codec cxistack_codec;      /* opaque */
typedef struct cxistack_load cxistack_load;        /* opaque */
typedef struct cxistack_scratch cxistack_scratch;  /* opaque */

/* ------------------------------------------------------------------ the table */

typedef struct cxistack_capi {
    uint32_t abi;
    uint32_t api;
    size_t size;  /* bytes of the table */

    /* -------- since API 1 */

    /* What a status means, as a sentence; never NULL. */
    const char *(*explain)(int status);
    /* Bytes of a pixel; 0: there is no such type. */
    size_t (*pixel_size)(int type);

    /* All pixels of src to dst, of the same shape. LOST: stopped at a value that does not fit.
     * dst may be src itself where types are equally large and strides are the same. */
    int (*cast)(const cxistack_pixels *src, const cxistack_pixels *dst, int how);
    /* Frame frames[k] of src's first axis to frame k of dst. */
    int (*gather)(const cxistack_pixels *src, const int64_t *frames, const cxistack_pixels *dst,
                  int how);
    /* Some pixels of the last two axes: a crop, every n-th, a mirror. */
    int (*view)(const cxistack_pixels *src, const cxistack_axis *slow, const cxistack_axis *fast,
                const cxistack_pixels *dst, int how);
    /* Bins of slow x fast pixels of the last two axes; incomplete last ones are dropped. Sums are
     * made as int64, uint64 or double, means as double, then cast to dst; booleans: whether all are
     * true. */
    int (*bin)(const cxistack_pixels *src, int64_t slow, int64_t fast, const cxistack_pixels *dst,
               int how);

    /* What decodes, and encodes where it is opened for that, chunks of chunk_bytes. It belongs to
     * one thread at a time. NULL: no memory, a filter that is not known, or arguments that make no
     * sense; *status (unless status is NULL) says which. */
    cxistack_codec *(*codec_open)(const cxistack_filter *filters, size_t count, size_t chunk_bytes,
                                  int encodes, int *status);
    void (*codec_close)(cxistack_codec *codec);
    /* One stored chunk to exactly chunk_bytes at dst. A set bit i of mask: filter i was not applied.
     * Whatever src holds, nothing outside src and dst is read or written. */
    int (*decode)(cxistack_codec *codec, uint32_t mask, const void *src, size_t src_bytes, void *dst,
                  size_t dst_bytes);
    /* What is wrong with the chunk that this codec decoded last: "ends before its last block". */
    const char *(*decode_error)(const cxistack_codec *codec);
    /* The most bytes that an encoded chunk takes. */
    size_t (*encode_bound)(const cxistack_codec *codec);
    /* chunk_bytes at src, encoded, to dst; *stored: how many bytes that are. MORE: too little room. */
    int (*encode)(cxistack_codec *codec, const void *src, void *dst, size_t dst_bytes,
                  size_t *stored);

    /* A load that store.prepared(...) made: handle is what its capsule, "cxistack.load", points to.
     * With the GIL, or where no other thread can let go of the Python object meanwhile. The load
     * stays until it is closed; what it is of may be forgotten in Python. NULL: the text says why. */
    cxistack_load *(*open)(void *handle, char *text, size_t text_bytes);
    /* When no thread reads any more. It takes the GIL for itself where it has not got it. */
    void (*close)(cxistack_load *load);
    int64_t (*frame_count)(const cxistack_load *load);
    /* How many axes a frame has; writes their lengths. */
    int (*frame_shape)(const cxistack_load *load, int64_t shape[CXISTACK_MOST_AXES]);
    int (*frame_type)(const cxistack_load *load);
    /* What a thread reads with: it belongs to one load, and to one thread at a time. NULL: there is
     * no memory. */
    cxistack_scratch *(*scratch_open)(const cxistack_load *load);
    void (*scratch_close)(cxistack_scratch *scratch);
    /* Frames of these numbers, in any order, to dst: strides[0] bytes from one to the next, then the
     * strides of a frame; NULL: C order, no gaps. Without a scratch (NULL) each call makes its own.
     * The text (of text_bytes, may be NULL) says what is wrong: which file, which frame, what to do.
     * Fewer frames a call or more: as you like. */
    int (*read)(const cxistack_load *load, const int64_t *frames, size_t count, void *dst,
                const int64_t *strides, cxistack_scratch *scratch, char *text, size_t text_bytes);

    /* -------- since API 2 */

    /* Each pixel and its eight neighbours: their median, of the type of src. Frames are reflected at
     * their edges. good (one byte a pixel of a frame, C order; NULL: all are): bad pixels do not
     * count; of an even number of integers the lower of the two in the middle is taken. */
    int (*median3x3)(const cxistack_pixels *src, const uint8_t *good, const cxistack_pixels *dst);
    /* (src - dark) / white as float32 or float64, dst's type; dark and white are that type, C order,
     * one value a pixel of a frame, or NULL; good is as for median3x3, and bad pixels become bad.
     * DEAD_PIXEL: a good pixel's white is 0, or its dark or white no finite number, or it or its
     * result is too large for dst's type. */
    int (*flat_field)(const cxistack_pixels *src, const void *dark, const void *white,
                      const uint8_t *good, double bad, const cxistack_pixels *dst);
    /* The pixels of all frames of src that are *least or more (a value of src's type), with their
     * numbers counted through all of src in C order; good is as for median3x3. room: of numbers and
     * values. *found: how many there are; MORE: only the first `room` are told. */
    int (*above)(const cxistack_pixels *src, const void *least, const uint8_t *good, size_t room,
                 int64_t *numbers, void *values, size_t *found);

    /* -------- since API 3 */

    /* What follows goes over the frames of src's first axis, pixel by pixel; a frame has the other
     * axes. good: one byte a pixel, C order, 0 is bad; NULL: all are good. From the flags of a frame
     * to those of the next are good_step bytes; 0: they are one for all. */

    /* Brings all frames into the moments, in their order: how they are cut into calls changes no
     * bit. LOST: a sum of 64-bit integers leaves 64 bits, or there are more than 2^31 frames of
     * integers; the moments are then of no more use. */
    int (*accumulate)(const cxistack_pixels *src, const uint8_t *good, int64_t good_step,
                      cxistack_moments *moments);
    /* How many good values are *least or more (a value of src's type) is added to counts, one for
     * each pixel of a frame, C order. */
    int (*count)(const cxistack_pixels *src, const void *least, const uint8_t *good,
                 int64_t good_step, int64_t *counts);
    /* Bytes of scratch that select needs for src and so many fractions; 0: src makes no sense. */
    size_t (*select_scratch)(const cxistack_pixels *src, size_t count);
    /* For each of count fractions (0: the least value, 0.5: the median, 1: the largest) a frame of
     * dst, whose first axis they are: the good values' percentile, as NumPy's "linear", float or
     * double; or, with CXISTACK_LOWER, the value at that rank or the one below it, of src's type.
     * A good NaN makes NaN. *fill, of dst's type: what has no good value becomes it; NULL: that is
     * NO_VALUE. MORE: scratch_bytes is too small. */
    int (*select)(const cxistack_pixels *src, const uint8_t *good, int64_t good_step,
                  const double *fractions, size_t count, const void *fill,
                  const cxistack_pixels *dst, int how, void *scratch, size_t scratch_bytes);
} cxistack_capi;

/* ------------------------------------------------------------------ getting it */

#ifndef CXISTACK_NO_PYTHON

#include <Python.h>

/* Bytes of the table that this header needs. */
#if CXISTACK_TARGET_API < 2
#define CXISTACK_NEEDED offsetof(cxistack_capi, median3x3)
#elif CXISTACK_TARGET_API < 3
#define CXISTACK_NEEDED offsetof(cxistack_capi, accumulate)
#else
#define CXISTACK_NEEDED sizeof(cxistack_capi)
#endif

/* The table of the package that is installed, for as long as the interpreter runs; NULL, with an
 * ImportError set, where there is none or it does not fit this header. */
static inline const cxistack_capi *cxistack_import(void)
{
    PyObject *module = PyImport_ImportModule("cxistack._capi");
    PyObject *capsule = module ? PyObject_GetAttrString(module, "table") : NULL;
    const cxistack_capi *table =
        capsule ? (const cxistack_capi *)PyCapsule_GetPointer(capsule, "cxistack._capi.table")
                : NULL;
    Py_XDECREF(capsule);
    Py_XDECREF(module);
    if (table == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_ImportError)) {
            PyErr_Clear();
            PyErr_SetString(PyExc_ImportError,
                            "cxistack, as it is installed, has no C interface; install a later "
                            "version of it");
        }
        return NULL;
    }
    if (table->abi != CXISTACK_ABI || table->api < CXISTACK_TARGET_API) {
        PyErr_Format(PyExc_ImportError,
                     "this module was built for cxistack's C interface ABI %d, API %d, and the "
                     "installed cxistack has ABI %u, API %u: %s",
                     CXISTACK_ABI, CXISTACK_TARGET_API, (unsigned)table->abi, (unsigned)table->api,
                     table->abi == CXISTACK_ABI ? "install a later version of it"
                                                : "build the module against it anew");
        return NULL;
    }
    if (table->size < CXISTACK_NEEDED) {
        PyErr_Format(PyExc_ImportError,
                     "this module was built for cxistack's C interface ABI %d, API %d, and the "
                     "installed cxistack has ABI %u, API %u with a table of %zu bytes where %zu are "
                     "needed: its installation is damaged, install it anew",
                     CXISTACK_ABI, CXISTACK_TARGET_API, (unsigned)table->abi, (unsigned)table->api,
                     table->size, (size_t)CXISTACK_NEEDED);
        return NULL;
    }
    return table;
}

#endif /* CXISTACK_NO_PYTHON */

#ifdef __cplusplus
}
#endif

#endif
