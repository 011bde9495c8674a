/* SPDX-License-Identifier: MIT */
#include "base/quantile.h"

#include <math.h>

static double
normal_tail (double x)
{
  return 0.5 * erfc (x / M_SQRT2);
}

/* Newton's method on the upper tail, which is convex for x > 0: from 0 every step goes up and none goes past. */
double
ht_normal_quantile (double p)
{
  double tail = p > 0.5 ? 1 - p : p, x = 0;
  if (!(tail > 0))
    return p > 0.5 ? INFINITY : -INFINITY;
  for (int i = 0; i < 200; i++)
    {
      double step = (normal_tail (x) - tail) / (exp (-x * x / 2) / sqrt (2 * M_PI));
      x += step;
      if (fabs (step) <= 1e-15 * (1 + x))
        break;
    }
  return p > 0.5 ? x : -x;
}

/* The regularized incomplete beta function by its continued fraction (Lentz), for x below (a + 1) / (a + b + 2). */
static double
beta_fraction (double x, double a, double b)
{
  const double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1), value;
  d = 1 / (fabs (d) < tiny ? tiny : d);
  value = d;
  for (int m = 1; m < 1000; m++)
    {
      double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      double factor = 1;
      for (int k = 0; k < 2; k++)
        {
          double term = k == 0 ? even : odd;
          d = 1 + term * d;
          c = 1 + term / c;
          d = 1 / (fabs (d) < tiny ? tiny : d);
          c = fabs (c) < tiny ? tiny : c;
          factor *= c * d;
        }
      value *= factor;
      if (fabs (factor - 1) < 1e-15)
        break;
    }
  return value * exp (lgamma (a + b) - lgamma (a) - lgamma (b) + a * log (x) + b * log1p (-x)) / a;
}

static double
incomplete_beta (double x, double a, double b)
{
  if (x <= 0 || x >= 1)
    return x <= 0 ? 0 : 1;
  return x < (a + 1) / (a + b + 2) ? beta_fraction (x, a, b) : 1 - beta_fraction (1 - x, b, a);
}

/* P(T > t) for t >= 0: half the regularized beta function at degrees / (degrees + t^2). */
static double
student_tail (double t, double degrees)
{
  return 0.5 * incomplete_beta (degrees / (degrees + t * t), degrees / 2, 0.5);
}

double
ht_student_quantile (double p, double degrees)
{
  double tail = p > 0.5 ? 1 - p : p, low = 0, high = 1;
  if (!(tail > 0) || !(degrees > 0))
    return p > 0.5 ? INFINITY : -INFINITY;
  if (tail == 0.5)
    return 0;
  while (student_tail (high, degrees) > tail && high < 1e300)
    high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-14 * high; i++)
    {
      double middle = (low + high) / 2;
      *(student_tail (middle, degrees) > tail ? &low : &high) = middle;
    }
  return p > 0.5 ? high : -high;
}
