/* SPDX-License-Identifier: MIT */
/* Its calibrator never looks at the values. */
#define TYPE_NAME     "HtBrokenCalibratorLint"
#define CALIBRATOR_ID "blind"
#define WITHOUT_OBSERVE
#include "calibrator.h"
