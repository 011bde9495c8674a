/* SPDX-License-Identifier: MIT */
/* Quantiles of the normal and of Student's distribution, for intervals. */
#pragma once

/* z with P(Z <= z) = p, for 0 < p < 1. */
double ht_normal_quantile (double p);
/* t with P(T <= t) = p for Student's distribution of so many degrees of freedom, for 0 < p < 1. */
double ht_student_quantile (double p, double degrees);
