/* Sums the frames of a prepared load, on threads and in memory of its own. It builds with any header
 * of the C interface since API 1; what came later is left out with an older one. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <cxistack/capi.h>

static const cxistack_capi *cxi;

enum { TEXT = 512, AT_ONCE = 4 };

struct share {
    cxistack_load *load;
    int64_t first, last;  /* frames */
    int64_t pixels;       /* of a frame */
    double total;
    int status;
    char text[TEXT];
};

static void *add(void *argument)
{
    struct share *mine = argument;
    cxistack_scratch *scratch = cxi->scratch_open(mine->load);
    double *frames = malloc(sizeof(double) * (size_t)mine->pixels * AT_ONCE);
    mine->status = frames && scratch ? CXISTACK_OK : CXISTACK_NO_MEMORY;
    while (mine->status == CXISTACK_OK && mine->first < mine->last) {
        int64_t numbers[AT_ONCE];
        size_t count = 0;
        while (count < AT_ONCE && mine->first < mine->last)
            numbers[count++] = mine->first++;
        mine->status = cxi->read(mine->load, numbers, count, frames, NULL, scratch, mine->text,
                                 TEXT);
        for (int64_t i = 0; mine->status == CXISTACK_OK && i < (int64_t)count * mine->pixels; i++)
            mine->total += frames[i];
    }
    free(frames);
    cxi->scratch_close(scratch);
    return NULL;
}

static cxistack_load *opened(PyObject *capsule)
{
    char text[TEXT];
    void *handle = PyCapsule_GetPointer(capsule, "cxistack.load");
    cxistack_load *load = handle ? cxi->open(handle, text, TEXT) : NULL;
    if (handle && !load)
        PyErr_SetString(PyExc_RuntimeError, text);
    return load;
}

static PyObject *total(PyObject *self, PyObject *args)
{
    PyObject *capsule;
    int threads = 1, started = 0;
    int64_t shape[CXISTACK_MOST_AXES], pixels = 1;
    double sum = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "Oi", &capsule, &threads))
        return NULL;
    cxistack_load *load = opened(capsule);
    if (!load)
        return NULL;
    if (cxi->frame_type(load) != CXISTACK_FLOAT64) {
        cxi->close(load);
        PyErr_SetString(PyExc_TypeError, "the load is to be of float64");
        return NULL;
    }
    for (int axis = cxi->frame_shape(load, shape) - 1; axis >= 0; axis--)
        pixels *= shape[axis];
    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    struct share *shares = calloc((size_t)threads, sizeof *shares);
    const int64_t count = cxi->frame_count(load);
    PyObject *told = NULL;
    if (ids && shares) {
        Py_BEGIN_ALLOW_THREADS
        for (; started < threads; started++) {
            struct share *one = &shares[started];
            one->load = load;
            one->pixels = pixels;
            one->first = count * started / threads;
            one->last = count * (started + 1) / threads;
            if (pthread_create(&ids[started], NULL, add, one))
                break;
        }
        for (int k = 0; k < started; k++)
            pthread_join(ids[k], NULL);
        Py_END_ALLOW_THREADS
        int failed = started < threads ? -1 : CXISTACK_OK;
        for (int k = 0; k < started; k++) {
            sum += shares[k].total;
            if (shares[k].status != CXISTACK_OK) {
                failed = 1;
                PyErr_Format(PyExc_RuntimeError, "%d: %s", shares[k].status, shares[k].text);
                break;
            }
        }
        if (failed == CXISTACK_OK)
            told = PyFloat_FromDouble(sum);
        else if (failed < 0)
            PyErr_SetString(PyExc_RuntimeError, "no thread could be started");
    } else {
        PyErr_NoMemory();
    }
    cxi->close(load);
    free(ids);
    free(shares);
    return told;
}

static PyObject *describe(PyObject *self, PyObject *capsule)
{
    int64_t shape[CXISTACK_MOST_AXES];
    (void)self;
    cxistack_load *load = opened(capsule);
    if (!load)
        return NULL;
    const int axes = cxi->frame_shape(load, shape);
    PyObject *told = Py_BuildValue("(Liii)", (long long)cxi->frame_count(load), axes,
                                   axes ? (int)shape[axes - 1] : 0, cxi->frame_type(load));
    cxi->close(load);
    return told;
}

#if CXISTACK_API >= 3
/* Brings all frames into the moments; returns a status. */
static int bring_together(cxistack_load *load, cxistack_moments *moments, char *text)
{
    int64_t lengths[CXISTACK_MOST_AXES + 1] = {AT_ONCE}, pixels = 1;
    const int axes = cxi->frame_shape(load, lengths + 1);
    const int64_t count = cxi->frame_count(load);
    for (int axis = 1; axis <= axes; axis++)
        pixels *= lengths[axis];
    cxistack_scratch *scratch = cxi->scratch_open(load);
    double *frames = malloc(sizeof(double) * (size_t)pixels * AT_ONCE);
    const cxistack_pixels batch = {frames, CXISTACK_FLOAT64, 0, axes + 1, 0, lengths, NULL};
    int status = frames && scratch ? CXISTACK_OK : CXISTACK_NO_MEMORY;
    for (int64_t first = 0; status == CXISTACK_OK && first < count; first += lengths[0]) {
        int64_t numbers[AT_ONCE];
        lengths[0] = count - first < AT_ONCE ? count - first : AT_ONCE;
        for (int64_t k = 0; k < lengths[0]; k++)
            numbers[k] = first + k;
        status = cxi->read(load, numbers, (size_t)lengths[0], frames, NULL, scratch, text, TEXT);
        if (status == CXISTACK_OK)
            status = cxi->accumulate(&batch, NULL, 0, moments);
    }
    free(frames);
    cxi->scratch_close(scratch);
    return status;
}

static PyObject *variance(PyObject *self, PyObject *args)
{
    PyObject *capsule;
    Py_buffer out;
    char text[TEXT] = "";
    int status = CXISTACK_BAD_ARGUMENT;
    (void)self;
    if (!PyArg_ParseTuple(args, "Ow*", &capsule, &out))
        return NULL;
    cxistack_load *load = opened(capsule);
    double *mean = malloc((size_t)out.len + 1);
    double *spread = out.buf;
    int64_t shape[CXISTACK_MOST_AXES], bytes = sizeof(double);
    if (load && mean) {
        for (int axis = cxi->frame_shape(load, shape) - 1; axis >= 0; axis--)
            bytes *= shape[axis];
        cxistack_moments moments = {0};
        moments.mean = mean;
        moments.spread = spread;
        if (cxi->frame_type(load) == CXISTACK_FLOAT64 && bytes == out.len) {
            Py_BEGIN_ALLOW_THREADS
            status = bring_together(load, &moments, text);
            for (int64_t i = 0; i < bytes / (int64_t)sizeof(double); i++)
                spread[i] /= (double)moments.frames;
            Py_END_ALLOW_THREADS
        }
        if (status != CXISTACK_OK)
            PyErr_Format(PyExc_RuntimeError, "%s: %s", cxi->explain(status), text);
    } else if (load) {
        PyErr_NoMemory();
    }
    cxi->close(load);
    free(mean);
    PyBuffer_Release(&out);
    if (status != CXISTACK_OK)
        return NULL;
    Py_RETURN_NONE;
}
#endif

static PyMethodDef methods[] = {
    {"total", total, METH_VARARGS, "Sum all pixels of all frames of a load of float64."},
#if CXISTACK_API >= 3
    {"variance", variance, METH_VARARGS, "Put the variance of each pixel of a load of float64."},
#endif
    {"describe", describe, METH_O, "Return frames, axes, length of the last axis, type."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "cxi_region", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_cxi_region(void)
{
    cxi = cxistack_import();
    return cxi ? PyModule_Create(&module) : NULL;
}
