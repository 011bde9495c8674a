/* SPDX-License-Identifier: MIT */
/* Its calibrator wants the name of one of the library's. */
#define TYPE_NAME     "HtBrokenCalibratorId"
#define CALIBRATOR_ID "mse"
#include "calibrator.h"
