/* SPDX-License-Identifier: MIT */
#include "quant/encodings-file.h"

/**
 * ht_simulation_load_encodings:
 * @self: a simulation
 * @path: (type filename): an encodings file of AIMET's format 0.6.1, 1.0.0, 2.0.0 or 2.1.0
 * @partial: whether the file may cover a part of the quantizers, and others
 * @error: return location for an error
 *
 * Takes over the encodings of a file; calibration leaves them alone. Constants go by the name that nodes read or by
 * that of the initializer behind it. Grids of biases are those that follow from their layers, whatever the file says;
 * where it says something else, ht_simulation_list_skipped() has it. Grids that a file repeats behind operators that
 * keep them are no grids of their own.
 *
 * Unless @partial, the file has to have an encoding for each quantizer, none for other tensors, and to agree with the
 * settings. With @partial what is missing stays as it is (but version 2.0.0 has no entries for float16 and bfloat16:
 * tensors that the settings give these formats have them), bits and symmetry are those of the file, and a float tensor
 * that the target does not quantize gets a quantizer. All problems are in the message of the error, with their places.
 *
 * The arithmetic becomes that of who wrote the file: what AIMET wrote is simulated as AIMET simulates, what this
 * library wrote as a device computes. ht_simulation_set_arithmetic() chooses otherwise.
 *
 * Returns: %TRUE, or %FALSE with @error set and nothing changed
 */
gboolean
ht_simulation_load_encodings (HtSimulation *self, const char *path, gboolean partial, GError **error)
{
  HtEncodingsReader reader;
  gboolean done;

  g_return_val_if_fail (HT_IS_SIMULATION (self) && path != NULL, FALSE);

  ht_encodings_reader_init (&reader);
  done = ht_encodings_reader_load (&reader, path, error);
  if (done)
    {
      ht_encodings_match (&reader, self, partial);
      done = ht_encodings_reader_finish (&reader, path, error);
    }
  ht_encodings_reader_clear (&reader);
  return done;
}
