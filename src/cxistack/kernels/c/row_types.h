/* Pixel types as they lie in memory: at any address, whatever the buffer was declared as. */
#ifndef CXISTACK_ROW_TYPES_H
#define CXISTACK_ROW_TYPES_H

#include <stdint.h>

#define CXI_ANYWHERE __attribute__((aligned(1), may_alias))

typedef uint8_t b1 CXI_ANYWHERE;  /* a boolean is read as a byte: any non-zero byte is True */
typedef int8_t i1 CXI_ANYWHERE;
typedef int16_t i2 CXI_ANYWHERE;
typedef int32_t i4 CXI_ANYWHERE;
typedef int64_t i8 CXI_ANYWHERE;
typedef uint8_t u1 CXI_ANYWHERE;
typedef uint16_t u2 CXI_ANYWHERE;
typedef uint32_t u4 CXI_ANYWHERE;
typedef uint64_t u8 CXI_ANYWHERE;
typedef float f4 CXI_ANYWHERE;
typedef double f8 CXI_ANYWHERE;

#endif
