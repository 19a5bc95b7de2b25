// The table of functions as C++ likes it: what is opened is closed, what fails is thrown.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <cxistack/capi.h>

namespace {

const cxistack_capi *cxi = nullptr;

struct Close {
    void operator()(cxistack_load *load) const { cxi->close(load); }
    void operator()(cxistack_scratch *scratch) const { cxi->scratch_close(scratch); }
    void operator()(cxistack_codec *codec) const { cxi->codec_close(codec); }
};

class Load {
public:
    explicit Load(void *handle)
    {
        std::array<char, 512> text{};
        load_.reset(cxi->open(handle, text.data(), text.size()));
        if (!load_)
            throw std::runtime_error(text.data());
    }

    std::int64_t count() const { return cxi->frame_count(load_.get()); }

    std::size_t pixels() const
    {
        std::int64_t shape[CXISTACK_MOST_AXES];
        std::size_t made = 1;
        for (int axis = cxi->frame_shape(load_.get(), shape) - 1; axis >= 0; axis--)
            made *= static_cast<std::size_t>(shape[axis]);
        return made;
    }

    // Frames first to last, by a thread that calls this for itself.
    std::vector<float> read(std::int64_t first, std::int64_t last) const
    {
        const std::unique_ptr<cxistack_scratch, Close> scratch{cxi->scratch_open(load_.get())};
        std::vector<float> frames(static_cast<std::size_t>(last - first) * pixels());
        std::vector<std::int64_t> numbers;
        for (; first < last; first++)
            numbers.push_back(first);
        std::array<char, 512> text{};
        if (cxi->read(load_.get(), numbers.data(), numbers.size(), frames.data(), nullptr,
                      scratch.get(), text.data(), text.size()) != CXISTACK_OK)
            throw std::runtime_error(text.data());
        return frames;
    }

private:
    std::unique_ptr<cxistack_load, Close> load_;
};

double total(const Load &load)
{
    double sums[2] = {0, 0};
    std::string failures[2];
    auto half = [&](int k) {
        try {
            for (float value : load.read(load.count() * k / 2, load.count() * (k + 1) / 2))
                sums[k] += static_cast<double>(value);
        } catch (const std::exception &error) {
            failures[k] = error.what();
        }
    };
    std::thread other{half, 1};
    half(0);
    other.join();
    for (const std::string &one : failures)
        if (!one.empty())
            throw std::runtime_error(one);
    return sums[0] + sums[1];
}

PyObject *total(PyObject *, PyObject *capsule)
{
    void *handle = PyCapsule_GetPointer(capsule, "cxistack.load");
    if (handle == nullptr)
        return nullptr;
    try {
        const Load load{handle};
        return PyFloat_FromDouble(total(load));
    } catch (const std::exception &error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
        return nullptr;
    }
}

PyMethodDef methods[] = {
    {"total", total, METH_O, "Sum all pixels of all frames of a load of float32."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "cxi_raii", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr,
};

}  // namespace

PyMODINIT_FUNC PyInit_cxi_raii()
{
    cxi = cxistack_import();
    return cxi != nullptr ? PyModule_Create(&module) : nullptr;
}
