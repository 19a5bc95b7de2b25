/* What a decoder's failure means, in words. */
#include "decode.h"

const char *cxi_decode_error(int status)
{
    static const char *const said[CXI_STATUSES] = {
        [CXI_DECODED] = "is whole",
        [CXI_BAD_FILTER] = "has a filter, or parameters of one, that cannot be decoded here",
        [CXI_BAD_HEADER] = "begins with a header that makes no sense",
        [CXI_TRUNCATED] = "ends before its last block",
        [CXI_WRONG_SIZE] = "does not decode to the size of a chunk",
        [CXI_BAD_DEFLATE] = "is not a valid deflate stream",
        [CXI_BAD_LZ4] = "holds an invalid LZ4 block",
        [CXI_BAD_ZSTD] = "holds an invalid Zstandard frame",
        [CXI_BAD_CHECKSUM] = "does not match its Fletcher32 checksum",
        [CXI_BLOCK_TOO_LARGE] = "holds larger blocks than its filter's parameters announce",
        [CXI_NO_ROOM] = "was given too little memory to decode into",
        [CXI_NO_MEMORY] = "cannot be decoded: out of memory",
    };
    return status >= 0 && status < CXI_STATUSES ? said[status] : "failed in an unknown way";
}
