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

    std::vector<std::int64_t> shape() const
    {
        std::vector<std::int64_t> lengths(CXISTACK_MOST_AXES);
        const int axes = cxi->frame_shape(load_.get(), lengths.data());
        lengths.resize(static_cast<std::size_t>(axes));
        return lengths;
    }

    std::size_t pixels() const
    {
        std::size_t made = 1;
        for (std::int64_t length : shape())
            made *= static_cast<std::size_t>(length);
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

// The median of each pixel over all frames; the sum of these.
double median(const Load &load)
{
    std::vector<float> frames = load.read(0, load.count()), medians(load.pixels());
    std::vector<std::int64_t> from{load.shape()}, to{from};
    from.insert(from.begin(), load.count());
    to.insert(to.begin(), 1);
    const int axes = static_cast<int>(from.size());
    const cxistack_pixels src{frames.data(), CXISTACK_FLOAT32, 0, axes, 0, from.data(), nullptr};
    const cxistack_pixels dst{medians.data(), CXISTACK_FLOAT32, 0, axes, 0, to.data(), nullptr};
    const double half = 0.5;
    std::vector<char> scratch(cxi->select_scratch(&src, 1));
    const int status = cxi->select(&src, nullptr, 0, &half, 1, nullptr, &dst, 0, scratch.data(),
                                   scratch.size());
    if (status != CXISTACK_OK)
        throw std::runtime_error(cxi->explain(status));
    double sum = 0;
    for (float value : medians)
        sum += static_cast<double>(value);
    return sum;
}

// A number that is made of a load, for Python.
template <double (*made)(const Load &)> PyObject *answer(PyObject *, PyObject *capsule)
{
    void *handle = PyCapsule_GetPointer(capsule, "cxistack.load");
    if (handle == nullptr)
        return nullptr;
    try {
        const Load load{handle};
        return PyFloat_FromDouble(made(load));
    } catch (const std::exception &error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
        return nullptr;
    }
}

PyMethodDef methods[] = {
    {"total", answer<total>, METH_O, "Sum all pixels of all frames of a load of float32."},
    {"median", answer<median>, METH_O, "Sum the median of each pixel of a load of float32."},
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
