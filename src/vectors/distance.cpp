// SPDX-License-Identifier: Apache-2.0
// The tree is compiled for the oldest x86-64; these few functions are compiled for AVX2 besides,
// and taken if the processor says that it has it. Debian's FAISS is compiled without, and chooses
// nothing at run time.
#include "vectors/distance.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace netbuild::vectors {
namespace {

constexpr std::size_t lanes = 8;

#if defined(__x86_64__)
#define NETBUILD_AVX2 __attribute__((target("avx2,fma")))

NETBUILD_AVX2 float sum_of(__m256 values) {
    const __m128 half =
        _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

NETBUILD_AVX2 float avx2_squared_distance(const float* left, const float* right,
                                          std::size_t dimension) {
    __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    std::size_t i = 0;
    for (; i + 2 * lanes <= dimension; i += 2 * lanes) {
        for (std::size_t half = 0; half < 2; ++half) { // two chains hide the latency of FMA
            const __m256 difference = _mm256_sub_ps(_mm256_loadu_ps(left + i + half * lanes),
                                                    _mm256_loadu_ps(right + i + half * lanes));
            sums[half] = _mm256_fmadd_ps(difference, difference, sums[half]);
        }
    }
    return sum_of(_mm256_add_ps(sums[0], sums[1])) +
           plain_squared_distance(left + i, right + i, dimension - i);
}

NETBUILD_AVX2 float avx2_inner_product(const float* left, const float* right,
                                       std::size_t dimension) {
    __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    std::size_t i = 0;
    for (; i + 2 * lanes <= dimension; i += 2 * lanes) {
        for (std::size_t half = 0; half < 2; ++half)
            sums[half] = _mm256_fmadd_ps(_mm256_loadu_ps(left + i + half * lanes),
                                         _mm256_loadu_ps(right + i + half * lanes), sums[half]);
    }
    return sum_of(_mm256_add_ps(sums[0], sums[1])) +
           plain_inner_product(left + i, right + i, dimension - i);
}

bool has_avx2() noexcept { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

} // namespace

float plain_squared_distance(const float* left, const float* right, std::size_t dimension) {
    float sums[lanes] = {};
    std::size_t i = 0;
    for (; i + lanes <= dimension; i += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            const float difference = left[i + lane] - right[i + lane];
            sums[lane] += difference * difference;
        }
    }
    float sum = 0;
    for (; i < dimension; ++i)
        sum += (left[i] - right[i]) * (left[i] - right[i]);
    for (const float one : sums)
        sum += one;
    return sum;
}

float plain_inner_product(const float* left, const float* right, std::size_t dimension) {
    float sums[lanes] = {};
    std::size_t i = 0;
    for (; i + lanes <= dimension; i += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane)
            sums[lane] += left[i + lane] * right[i + lane];
    }
    float sum = 0;
    for (; i < dimension; ++i)
        sum += left[i] * right[i];
    for (const float one : sums)
        sum += one;
    return sum;
}

Kernel squared_distance() noexcept {
#if defined(__x86_64__)
    if (has_avx2()) return avx2_squared_distance;
#endif
    return plain_squared_distance;
}

Kernel inner_product() noexcept {
#if defined(__x86_64__)
    if (has_avx2()) return avx2_inner_product;
#endif
    return plain_inner_product;
}

} // namespace netbuild::vectors
