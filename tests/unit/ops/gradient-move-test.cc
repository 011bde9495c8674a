// SPDX-License-Identifier: MIT
// Backward of what moves elements: shapes, slices, joins, pads, gathers.
#include "gradient.h"

using namespace support;

namespace
{

TEST (MoveGradient, Views)
{
  Gradient ("Reshape", 14, { any ({ 2, 6 }), whole ({ 3, -1 }) }).check ();
  Gradient ("Flatten", 13, { any ({ 2, 3, 2 }) }).check ();
  Gradient ("Squeeze", 13, { any ({ 2, 1, 3 }), whole ({ 1 }) }).check ();
  Gradient ("Unsqueeze", 13, { any ({ 2, 3 }), whole ({ 0, -1 }) }).check ();
  Gradient ("Unsqueeze", 11, { any ({ 2, 3 }) }).ints ("axes", { 0, 3 }).check ();
  Gradient ("Identity", 14, { any ({ 2, 3 }) }).check ();
  Gradient ("Dropout", 7, { any ({ 2, 3 }) }).check ();
  Gradient ("Dropout", 13, { any ({ 2, 3 }), reals ({ 0.5 }, {}), truth ({ 0 }, {}) }, 2).constant (1).check ();
  Gradient ("Dropout", 13, { any ({ 7, 9 }), reals ({ 0.3 }, {}), truth ({ 1 }, {}) }, 2).constant (1).check ();
  Gradient ("Cast", 13, { any ({ 2, 3 }) }).number ("to", HT_DATA_TYPE_DOUBLE).check ();
}

TEST (MoveGradient, Transpose)
{
  Gradient ("Transpose", 13, { any ({ 2, 3, 4 }) }).check ();
  Gradient ("Transpose", 13, { any ({ 2, 3, 4 }) }).ints ("perm", { 1, 2, 0 }).check ();
  Gradient ("Transpose", 13, { any ({ 2, 3, 4, 5 }) }).ints ("perm", { 2, 0, 3, 1 }).check ();
  for (const char *mode : { "DCR", "CRD" })
    Gradient ("DepthToSpace", 13, { any ({ 2, 8, 2, 3 }) }).number ("blocksize", 2).text ("mode", mode).check ();
  Gradient ("SpaceToDepth", 13, { any ({ 2, 3, 4, 6 }) }).number ("blocksize", 2).check ();
}

TEST (MoveGradient, Slice)
{
  Gradient ("Slice", 13, { any ({ 4, 5 }), whole ({ 1, -4 }), whole ({ 3, 1000 }) }).check ();
  Gradient ("Slice", 13,
            { any ({ 4, 5, 3 }), whole ({ -1, 4 }), whole ({ 0, 0 }), whole ({ 0, -2 }), whole ({ -2, -3 }) })
      .check ();
  Gradient ("Slice", 13, { any ({ 4, 5 }), whole ({ 2 }), whole ({ 2 }), whole ({ 1 }) }).check ();
  Gradient ("Slice", 9, { any ({ 4, 5 }) }).ints ("starts", { 1 }).ints ("ends", { 4 }).ints ("axes", { 1 }).check ();
}

TEST (MoveGradient, ConcatAndSplit)
{
  Gradient ("Concat", 13, { any ({ 2, 3 }), any ({ 2, 1 }), any ({ 2, 4 }) }).number ("axis", 1).check ();
  Gradient ("Concat", 13, { any ({ 2, 3 }), any ({ 0, 3 }), any ({ 1, 3 }) }).number ("axis", -2).check ();
  Gradient ("Split", 13, { any ({ 2, 7 }), whole ({ 3, 0, 4 }) }, 3).number ("axis", 1).check ();
  Gradient ("Split", 18, { any ({ 7, 2 }) }, 3).number ("num_outputs", 3).unused (1).check ();
  Gradient ("Split", 11, { any ({ 6, 2 }) }, 2).number ("axis", -2).check ();
}

TEST (MoveGradient, Pad)
{
  for (const char *mode : { "constant", "edge", "reflect", "wrap" })
    {
      Gradient ("Pad", 19, { any ({ 3, 4 }), whole ({ 2, 1, 1, 2 }) }).text ("mode", mode).check ();
      Gradient ("Pad", 19, { any ({ 3, 4 }), whole ({ -1, 1, 1, -2 }) }).text ("mode", mode).check ();
    }
  Gradient ("Pad", 13, { any ({ 2, 3, 4 }), whole ({ 0, 2, 1, 1, 0, -1 }), reals ({ 0.5 }, {}) }).check ();
  Gradient ("Pad", 18, { any ({ 2, 3, 4 }), whole ({ 1, 2 }), nullptr, whole ({ -2 }) }).check ();
  Gradient ("Pad", 2, { any ({ 3, 4 }) }).ints ("pads", { 2, 1, 1, 2 }).check ();
}

TEST (MoveGradient, ExpandAndTile)
{
  Gradient ("Expand", 13, { any ({ 3, 1 }), whole ({ 2, 1, 4 }) }).check ();
  Gradient ("Expand", 13, { any ({}), whole ({ 2, 3 }) }).check ();
  Gradient ("Expand", 13, { any ({ 2, 3 }), whole ({ 1 }) }).check ();
  Gradient ("Tile", 13, { any ({ 2, 3 }), whole ({ 2, 3 }) }).check ();
  Gradient ("Tile", 13, { any ({ 2, 1, 3 }), whole ({ 1, 4, 2 }) }).check ();
  Gradient ("Tile", 13, { any ({ 2, 3 }), whole ({ 0, 3 }) }).check ();
}

TEST (MoveGradient, Gather)
{
  Gradient ("Gather", 13, { any ({ 4, 3 }), whole ({ 1, -1, 1, 0 }) }).check ();
  Gradient ("Gather", 13, { any ({ 2, 4, 3 }), whole ({ 3, 0, 0, -4 }, { 2, 2 }) }).number ("axis", -2).check ();
  Gradient ("Gather", 13, { any ({ 2, 4 }), whole ({ 2 }, {}) }).number ("axis", 1).check ();
  Gradient ("GatherElements", 13, { any ({ 3, 4 }), whole ({ 0, 3, -1, 1, 1, 1 }, { 2, 3 }) })
      .number ("axis", 1)
      .check ();
  Gradient ("GatherND", 13, { any ({ 3, 4, 2 }), whole ({ 0, 1, -1, 2, 0, 1 }, { 3, 2 }) }).check ();
  Gradient ("GatherND", 13, { any ({ 2, 3, 2 }), whole ({ 1, 1 }, { 2, 1 }) }).number ("batch_dims", 1).check ();
}

TEST (MoveGradient, Scatter)
{
  for (const char *reduction : { "none", "add" })
    {
      Gradient ("ScatterElements", 18, { any ({ 3, 4 }), whole ({ 0, 2, -1, 1, 1, 0 }, { 2, 3 }), any ({ 2, 3 }) })
          .number ("axis", 1)
          .text ("reduction", reduction)
          .check ();
      // One place is written twice.
      Gradient ("ScatterElements", 18, { any ({ 4 }), whole ({ 1, 1, -3, 0 }), any ({ 4 }) })
          .text ("reduction", reduction)
          .check ();
      Gradient ("ScatterND", 18, { any ({ 4, 3 }), whole ({ 1, 3, -3 }, { 3, 1 }), any ({ 3, 3 }) })
          .text ("reduction", reduction)
          .check ();
      Gradient ("ScatterND", 18, { any ({ 2, 3, 2 }), whole ({ 0, 1, 1, -1 }, { 2, 2 }), any ({ 2, 2 }) })
          .text ("reduction", reduction)
          .check ();
      Gradient ("ScatterND", 18, { any ({ 2, 3 }), whole ({}, { 0, 1 }), any ({ 0, 3 }) })
          .text ("reduction", reduction)
          .check ();
    }
}

TEST (MoveGradient, CumSumAndTrilu)
{
  for (int exclusive : { 0, 1 })
    for (int reverse : { 0, 1 })
      Gradient ("CumSum", 14, { any ({ 3, 4 }), whole ({ 1 }, {}) })
          .number ("exclusive", exclusive)
          .number ("reverse", reverse)
          .check ();
  Gradient ("CumSum", 14, { any ({ 3, 4 }), whole ({ -2 }, {}) }).check ();
  Gradient ("Trilu", 14, { any ({ 2, 3, 4 }) }).check ();
  Gradient ("Trilu", 14, { any ({ 4, 3 }), whole ({ -1 }, {}) }).number ("upper", 0).check ();
}

TEST (MoveGradient, Resize)
{
  for (const char *mode : { "nearest", "linear", "cubic" })
    for (const char *transform : { "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel" })
      {
        auto resize = [&] (Tensors inputs) {
          return Gradient ("Resize", 19, inputs)
              .text ("mode", mode)
              .text ("coordinate_transformation_mode", transform)
              .constant (2);
        };
        Tensor x = any ({ 2, 3, 4, 5 });
        resize ({ x, nullptr, reals ({ 1, 1, 2, 1.6 }, { 4 }) }).check ();
        Gradient ("Resize", 19, { x, nullptr, nullptr, whole ({ 2, 3, 3, 7 }) })
            .text ("mode", mode)
            .text ("coordinate_transformation_mode", transform)
            .check ();
        Gradient ("Resize", 19, { x, nullptr, nullptr, whole ({ 2, 3, 2, 3 }) })
            .text ("mode", mode)
            .text ("coordinate_transformation_mode", transform)
            .number ("antialias", mode[0] != 'n')
            .check ();
        resize ({ x, nullptr, reals ({ 1, 1, 1, 1 }, { 4 }) }).check ();
      }
  Gradient (
      "Resize", 13,
      { any ({ 1, 1, 4, 4 }), reals ({ 0, 0, 0.4, 0.6, 1, 1, 0.9, 1.2 }, { 8 }), nullptr, whole ({ 1, 1, 3, 5 }) })
      .text ("mode", "linear")
      .text ("coordinate_transformation_mode", "tf_crop_and_resize")
      .real ("extrapolation_value", 10)
      .constant (1)
      .check ();
  Gradient ("Resize", 19, { any ({ 1, 1, 4, 5 }), nullptr, nullptr, whole ({ 1, 1, 7, 3 }) })
      .text ("mode", "cubic")
      .number ("exclude_outside", 1)
      .check ();
  Gradient ("Upsample", 9, { any ({ 1, 2, 2, 3 }), reals ({ 1, 1, 2, 3 }, { 4 }) })
      .constant (1)
      .text ("mode", "nearest")
      .check ();
}

TEST (MoveGradient, SameBytesAtAnyNumberOfThreads)
{
  Gradient ("Gather", 13, { any ({ 50, 3000 }), whole ({ 1, -1, 1, 0, 7, 7, 49 }) }).check_threads ();
  Gradient ("Slice", 13,
            { any ({ 400, 500 }), whole ({ 1, -400 }), whole ({ 390, 1000 }), whole ({ 0, 1 }), whole ({ 1, 2 }) })
      .check_threads ();
  Gradient ("Pad", 13, { any ({ 8, 100, 200 }), whole ({ 0, 1, 1, 0, 1, 1 }) }).check_threads ();
  Gradient ("Tile", 13, { any ({ 80, 200 }), whole ({ 3, 4 }) }).check_threads ();
  Gradient ("Resize", 19, { any ({ 2, 8, 60, 60 }), nullptr, nullptr, whole ({ 2, 8, 100, 120 }) })
      .text ("mode", "linear")
      .check_threads ();
}

}
