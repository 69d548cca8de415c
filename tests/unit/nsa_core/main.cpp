// One thread: the tensors are small, and ctest runs several of these processes at a time.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

int main(int argc, char** argv) {
    testing::InitGoogleMock(&argc, argv);
    at::set_num_threads(1);
    return RUN_ALL_TESTS();
}
