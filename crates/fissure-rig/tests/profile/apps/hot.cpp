// Works in one method of a template: what a C++ compiler makes of names must be readable again.
#include <cstdint>
#include <cstdio>

namespace shop {
template <typename Price> struct Cart {
    Price sum{};
    __attribute__((noinline)) void total(int n) {
        for (int i = 0; i < n; i++)
            sum = sum * 6364136223846793005u ^ (sum >> 29) ^ i; // HOT
    }
};
}

int main() {
    shop::Cart<uint64_t> cart;
    for (;;) cart.total(100000);
}
