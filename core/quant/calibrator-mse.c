/* SPDX-License-Identifier: MIT */
/* The calibrator mse: of the observed range, shrunk by each of a hundred ratios, the one of least mean squared error.
 */
#include "quant/calibrator-histogram.h"

#include <math.h>

#define N_RATIOS 100

typedef struct
{
  HtHistogramCalibrator parent_instance;
} HtMseCalibrator;

typedef HtHistogramCalibratorClass HtMseCalibratorClass;

G_DEFINE_TYPE (HtMseCalibrator, ht_mse_calibrator, HT_TYPE_HISTOGRAM_CALIBRATOR)

static double
mean_squared_error (const HtHistogramBins *bins, double scale, double offset, double n_steps)
{
  double sum = 0;

  for (gint i = 0; i < bins->n_used; i++)
    {
      double code = CLAMP (floor (bins->middles[i] / scale - offset + 0.5), 0, n_steps);
      double error = bins->middles[i] - scale * (code + offset);
      sum += bins->shares[i] * error * error;
    }
  return sum;
}

static void
find_range (HtCalibrator *calibrator, const HtHistogramBins *bins, HtQuantizerSettings *settings, double *minimum,
            double *maximum)
{
  double low = MIN (*minimum, 0), high = MAX (*maximum, 0), best = INFINITY;
  double n = (double)ht_quantizer_settings_get_n_steps (settings);
  gboolean symmetric = ht_quantizer_settings_get_symmetric (settings)
                       && (low < 0 || !ht_quantizer_settings_get_unsigned_symmetric (settings));

  for (gint i = N_RATIOS; i > 0; i--)
    {
      double ratio = (double)i / N_RATIOS;
      double scale = symmetric ? MAX (high / floor (n / 2), -low / ceil (n / 2)) * ratio : (high - low) / n * ratio;
      double offset = symmetric ? -ceil (n / 2) : round (low * ratio / scale);
      double error = mean_squared_error (bins, scale, offset, n);

      if (error >= best)
        continue;
      best = error;
      *minimum = low * ratio;
      *maximum = high * ratio;
    }
}

static void
ht_mse_calibrator_class_init (HtMseCalibratorClass *klass)
{
  klass->find_range = find_range;
  ht_calibrator_class_set_info (
      &klass->parent_class, "mse", "The range of least mean squared error",
      "Tries the observed range shrunk by 0.01, 0.02 … 1 on a histogram; of equals, the widest.");
  ht_calibrator_class_add_reference (&klass->parent_class,
                                     "Nagel et al., A White Paper on Neural Network Quantization, section 3.1, "
                                     "https://arxiv.org/abs/2106.08295");
}

static void
ht_mse_calibrator_init (HtMseCalibrator *self)
{
}
