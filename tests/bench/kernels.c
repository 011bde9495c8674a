/* SPDX-License-Identifier: MIT */
/* The kernels of the blocked layout against what this machine can do at most, measured in the same run: fused
 * multiply-adds in registers for convolutions and products, for depthwise layers also a copy of as many bytes; what takes
 * longer bounds the layer.
 *
 *   kernels [--threads N] [--batch N] [--quantize] [--backward] [WORD]    WORD: only layers whose name contains it */
#include "base/thread-pool.h"
#include "kernels/blocked-backward.h"
#include "kernels/isa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct
{
  const char *name;
  gsize in_channels, out_channels, size, kernel, stride;
  gboolean depthwise, plain_input;
} Layer;

static const Layer layers[] = {
  { "first 7x7 s2 3->64 @224", 3, 64, 224, 7, 2, FALSE, TRUE },
  { "first 11x11 s4 3->64 @224", 3, 64, 224, 11, 4, FALSE, TRUE },
  { "first 3x3 s2 3->32 @224", 3, 32, 224, 3, 2, FALSE, TRUE },
  { "first 3x3 3->64 @224", 3, 64, 224, 3, 1, FALSE, TRUE },
  { "3x3 64->64 @56", 64, 64, 56, 3, 1 },
  { "3x3 s2 64->128 @56", 64, 128, 56, 3, 2 },
  { "3x3 128->128 @28", 128, 128, 28, 3, 1 },
  { "3x3 256->256 @14", 256, 256, 14, 3, 1 },
  { "3x3 512->512 @7", 512, 512, 7, 3, 1 },
  { "3x3 16->16 @32", 16, 16, 32, 3, 1 },
  { "3x3 32->32 @16", 32, 32, 16, 3, 1 },
  { "3x3 64->64 @8", 64, 64, 8, 3, 1 },
  { "3x3 512->512 @28", 512, 512, 28, 3, 1 },
  { "5x5 48->64 @35", 48, 64, 35, 5, 1 },
  { "1x1 64->256 @56", 64, 256, 56, 1, 1 },
  { "1x1 256->64 @56", 256, 64, 56, 1, 1 },
  { "1x1 512->128 @28", 512, 128, 28, 1, 1 },
  { "1x1 1024->256 @14", 1024, 256, 14, 1, 1 },
  { "1x1 2048->512 @7", 2048, 512, 7, 1, 1 },
  { "1x1 512->2048 @7", 512, 2048, 7, 1, 1 },
  { "1x1 s2 256->512 @56", 256, 512, 56, 1, 2 },
  { "1x1 16->96 @112", 16, 96, 112, 1, 1 },
  { "1x1 24->144 @56", 24, 144, 56, 1, 1 },
  { "1x1 16->96 @28", 16, 96, 28, 1, 1 },
  { "1x1 96->576 @14", 96, 576, 14, 1, 1 },
  { "1x1 576->96 @14", 576, 96, 14, 1, 1 },
  { "1x1 320->1280 @7", 320, 1280, 7, 1, 1 },
  { "depthwise s2 96 @112", 96, 96, 112, 3, 2, TRUE },
  { "depthwise 32 @112", 32, 32, 112, 3, 1, TRUE },
  { "depthwise 144 @56", 144, 144, 56, 3, 1, TRUE },
  { "depthwise 192 @28", 192, 192, 28, 3, 1, TRUE },
  { "depthwise 384 @14", 384, 384, 14, 3, 1, TRUE },
  { "depthwise 576 @14", 576, 576, 14, 3, 1, TRUE },
  { "depthwise s2 576 @14", 576, 576, 14, 3, 2, TRUE },
  { "depthwise 960 @7", 960, 960, 7, 3, 1, TRUE },
  { "depthwise 5x5 240 @14", 240, 240, 14, 5, 1, TRUE },
};

typedef struct
{
  gsize m, n, k;
} Product;

static const Product products[] = {
  { 1, 4096, 4096 }, { 1, 1000, 2048 },  { 4, 4096, 4096 }, { 32, 4096, 4096 },
  { 128, 768, 768 }, { 512, 768, 3072 }, { 197, 192, 192 }, { 1024, 1024, 1024 },
};

/* The best of several repeats, over at least 0.2 s. */
typedef void (*Run) (gpointer data);

/* Microseconds; of one thread those that it had the processor, whatever else runs. */
static gint64
get_time (void)
{
  struct timespec time;

  clock_gettime (ht_thread_pool_get_size () > 1 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &time);
  return (gint64)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static double
measure (Run run, gpointer data)
{
  double best = 1e9;
  gint64 end = g_get_monotonic_time () + 200000;

  run (data);
  for (int i = 0; i < 3 || (g_get_monotonic_time () < end && i < 2000); i++)
    {
      gint64 begin = get_time ();
      int n = 0;
      do
        {
          run (data);
          n++;
        }
      while (get_time () - begin < 2000);
      best = MIN (best, (double)(get_time () - begin) * 1e-6 / n);
    }
  return best;
}

#define PEAK(name, target, width)                                                                                      \
  target static float name (gsize rounds)                                                                              \
  {                                                                                                                    \
    typedef float V __attribute__ ((vector_size (width * 4)));                                                         \
    V a[12], x = { 0.0f }, sum = { 0.0f };                                                                             \
    x += 0.999f;                                                                                                       \
    for (int i = 0; i < 12; i++)                                                                                       \
      a[i] = x * (float)i;                                                                                             \
    for (gsize r = 0; r < rounds; r++)                                                                                 \
      _Pragma ("GCC unroll 12") for (int i = 0; i < 12; i++) a[i] = a[i] * x + x;                                      \
    for (int i = 0; i < 12; i++)                                                                                       \
      sum += a[i];                                                                                                     \
    return sum[0];                                                                                                     \
  }
#ifdef HT_HAVE_ISA_VARIANTS
#define TARGET(arch) __attribute__ ((noinline, target ("arch=" arch), optimize ("fp-contract=fast")))
PEAK (peak_avx512, TARGET ("x86-64-v4"), 16)
PEAK (peak_avx2, TARGET ("x86-64-v3"), 8)
#endif
PEAK (peak_baseline, , 4)

#define READ_PAGES  ((gsize)32 * 1024)
#define PEAK_ROUNDS ((gsize)20000)

static volatile float sink;
static gboolean quantize;

static void
run_peak_items (gsize begin, gsize end, guint worker, gpointer data)
{
  for (gsize i = begin; i < end; i++)
    {
#ifdef HT_HAVE_ISA_VARIANTS
      if (ht_isa_get () == HT_ISA_AVX512)
        sink = peak_avx512 (PEAK_ROUNDS);
      else if (ht_isa_get () == HT_ISA_AVX2)
        sink = peak_avx2 (PEAK_ROUNDS);
      else
#endif
        sink = peak_baseline (PEAK_ROUNDS);
    }
}

static void
run_peak (gpointer data)
{
  ht_parallel_for (8, 1, run_peak_items, NULL);
}

static double
measure_peak (void)
{
  gsize width = ht_isa_get () == HT_ISA_AVX512 ? 16 : ht_isa_get () == HT_ISA_AVX2 ? 8 : 4;
  return 8.0 * (double)PEAK_ROUNDS * 12 * 2 * (double)width / measure (run_peak, NULL) * 1e-9;
}

typedef struct
{
  const float *x;
  float *y;
  gsize n_x, n_y; /* in pages of 1024 floats */
} Copy;

/* Reads its part of x and writes its part of y, as a kernel does: through registers and with ordinary stores, which
 * bring a line into the cache before they write it. memcpy() may leave that out. */
#ifdef HT_HAVE_TARGET_CLONES
__attribute__ ((target_clones ("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#endif
static void
run_copy_items (gsize begin, gsize end, guint worker, gpointer data)
{
  const Copy *copy = data;

  for (gsize page = begin; page < end; page++)
    {
      gboolean write = page < copy->n_y;
      const guint32 *restrict x = (const guint32 *)(gconstpointer)(copy->x + page * 1024);
      guint32 *restrict y = (guint32 *)(gpointer)(copy->y + page * 1024);
      if (page < copy->n_x && write)
        for (gsize i = 0; i < 1024; i++)
          y[i] = x[i] ^ 1;
      else if (write)
        for (gsize i = 0; i < 1024; i++)
          y[i] = (guint32)i;
      else
        {
          guint32 bits = 0;
          for (gsize i = 0; i < 1024; i++)
            bits |= x[i];
          sink = (float)bits;
        }
    }
}

static void
run_copy (gpointer data)
{
  const Copy *copy = data;
  ht_parallel_for (MAX (copy->n_x, copy->n_y), 16, run_copy_items, data);
}

static float *
make_floats (gsize n)
{
  float *x = g_aligned_alloc (n + 1024, sizeof (float), 64);
  for (gsize i = 0; i < n + 1024; i++)
    x[i] = (float)((int)(i * 7919 % 2003) - 1001) * 0.001f;
  return x;
}

typedef struct
{
  HtConvGeometry g;
  gboolean plain_input;
  float *x, *y, *w, *packed;
  gpointer scratch;
  HtEpilogue e;
} Conv;

static void
run_conv (gpointer data)
{
  Conv *conv = data;
  ht_blocked_conv (&conv->g, conv->plain_input, conv->x, conv->packed, &conv->e, conv->y, conv->scratch,
                   ht_thread_pool_get_size ());
}

static void
run_data_backward (gpointer data)
{
  Conv *conv = data;
  ht_blocked_conv_data_backward (&conv->g, FALSE, conv->y, conv->w, conv->x, conv->scratch, ht_thread_pool_get_size ());
}

static void
run_weight_backward (gpointer data)
{
  Conv *conv = data;
  ht_blocked_conv_weight_backward (&conv->g, conv->plain_input, conv->x, conv->y, conv->w, conv->scratch);
}

static gpointer
allocate (gsize n_bytes)
{
  return n_bytes > 0 ? g_aligned_alloc (n_bytes, 1, 64) : NULL;
}

/* Depthwise layers also against what the bytes of x and y take, which live in the same places for the copy: planes that
 * fit a cache are bound by arithmetic. */
static void
print_time (const char *name, const char *way, const Conv *conv, double time, double peak)
{
  const HtConvGeometry *g = &conv->g;
  double flops = 2.0 * (double)(g->batch * g->out_channels * (g->in_channels / g->groups))
                 * (double)(ht_conv_volume (g->kernel) * ht_conv_volume (g->out));

  printf ("%-26s %-7s batch %2zu %d thread(s) %8.3f ms %7.1f GF/s", name, way, g->batch, ht_thread_pool_get_size (),
          time * 1e3, flops / time * 1e-9);
  if (g->groups > 1)
    {
      gsize block = ht_isa_get_block ();
      gsize n_x = ht_blocked_floats (g->batch, g->in_channels, ht_conv_volume (g->in), block);
      gsize n_y = ht_blocked_floats (g->batch, g->out_channels, ht_conv_volume (g->out), block);
      Copy copy = { conv->x, conv->y, n_x / 1024, n_y / 1024 };
      double copying = measure (run_copy, &copy), adding = flops / peak * 1e-9;
      printf (" copy %.3f ms (%.1f GB/s), arithmetic %.3f ms: %4.0f %% of the bound, %s\n", copying * 1e3,
              (double)(n_x + n_y) * 4e-9 / copying, adding * 1e3, MAX (copying, adding) / time * 100,
              copying > adding ? "the copy" : "arithmetic");
    }
  else
    printf (" %4.0f %% of the peak\n", flops / time * 1e-9 / peak * 100);
  fflush (stdout);
}

static void
bench_backward (const char *name, Conv *conv, double peak)
{
  if (!conv->plain_input)
    {
      conv->scratch = allocate (ht_blocked_conv_data_backward_workspace (&conv->g, FALSE, ht_thread_pool_get_size ()));
      print_time (name, "data", conv, measure (run_data_backward, conv), peak);
      g_aligned_free (conv->scratch);
    }
  conv->scratch = allocate (ht_blocked_conv_weight_backward_workspace (&conv->g, conv->plain_input));
  print_time (name, "weights", conv, measure (run_weight_backward, conv), peak);
  g_aligned_free (conv->scratch);
}

static void
bench_layer (const Layer *layer, gsize batch, gboolean backward, double peak)
{
  gsize pad = layer->kernel / 2, out = (layer->size + 2 * pad - layer->kernel) / layer->stride + 1;
  gsize block = ht_isa_get_block (), k = layer->kernel, s = layer->stride;
  Conv conv = { .plain_input = layer->plain_input };

  conv.g = (HtConvGeometry){ batch,
                             layer->depthwise ? layer->in_channels : 1,
                             layer->in_channels,
                             layer->out_channels,
                             { 1, layer->size, layer->size },
                             { 1, out, out },
                             { 1, k, k },
                             { 1, s, s },
                             { 1, 1, 1 },
                             { 0, (gint64)pad, (gint64)pad } };
  gsize n_x = ht_blocked_floats (batch, layer->in_channels, layer->size * layer->size, block);
  gsize n_y = ht_blocked_floats (batch, layer->out_channels, out * out, block);
  gsize channels = layer->depthwise ? 1 : layer->in_channels;
  float *x = make_floats (n_x), *y = make_floats (n_y), *w = make_floats (layer->out_channels * channels * k * k);
  float *packed = allocate (ht_blocked_conv_packed_floats (&conv.g, conv.plain_input) * sizeof (float));
  float *shift = make_floats (layer->out_channels);
  conv.x = x;
  conv.y = y;
  conv.w = w;
  conv.packed = packed;
  if (backward)
    bench_backward (layer->name, &conv, peak);
  else
    {
      ht_blocked_conv_pack (&conv.g, conv.plain_input, w, packed);
      conv.scratch = allocate (ht_blocked_conv_slice (&conv.g, conv.plain_input) * ht_thread_pool_get_size ());
      HtGrid grid = { .scale = 0.05f, .n_steps = 255.0f };
      conv.e = (HtEpilogue){ .shift = shift, .activation = HT_ACTIVATION_CLAMP, .high = INFINITY };
      conv.e.grid = quantize ? &grid : NULL;
      print_time (layer->name, "forward", &conv, measure (run_conv, &conv), peak);
      g_aligned_free (conv.scratch);
    }
  g_aligned_free (packed);
  g_aligned_free (shift);
  g_aligned_free (x);
  g_aligned_free (y);
  g_aligned_free (w);
}

typedef struct
{
  Product shape;
  const float *a, *packed;
  float *c;
} Gemm;

static void
run_gemm (gpointer data)
{
  Gemm *gemm = data;
  const Product *s = &gemm->shape;
  ht_packed_gemm (s->m, s->n, s->k, gemm->a, s->k, gemm->packed, NULL, gemm->c, s->n);
}

static void
bench_product (const Product *s, double peak)
{
  float *a = make_floats (s->m * s->k), *b = make_floats (s->k * s->n), *c = make_floats (s->m * s->n);
  float *packed = g_aligned_alloc (ht_packed_gemm_floats (s->k, s->n), sizeof (float), 64);
  Gemm gemm = { *s, a, packed, c };

  ht_packed_gemm_pack (FALSE, s->k, s->n, b, s->n, packed);
  double time = measure (run_gemm, &gemm), flops = 2.0 * (double)(s->m * s->n * s->k);
  printf ("product %zu x %zu x %zu: %d thread(s) %8.3f ms %7.1f GF/s %4.0f %% of the peak, weights %.1f GB/s\n", s->m,
          s->n, s->k, ht_thread_pool_get_size (), time * 1e3, flops / time * 1e-9, flops / time * 1e-9 / peak * 100,
          (double)(s->k * s->n) * 4e-9 / time);
  fflush (stdout);
  g_aligned_free (packed);
  g_aligned_free (a);
  g_aligned_free (b);
  g_aligned_free (c);
}

int
main (int argc, char **argv)
{
  gint n_threads = 0, only_batch = 0;
  gboolean backward = FALSE;
  GOptionEntry entries[] = { { "threads", 0, 0, G_OPTION_ARG_INT, &n_threads, "Threads instead of 1 and 2", "N" },
                             { "batch", 0, 0, G_OPTION_ARG_INT, &only_batch, "Images instead of 1 and 32", "N" },
                             { "quantize", 0, 0, G_OPTION_ARG_NONE, &quantize, "Fake-quantize outputs", NULL },
                             { "backward", 0, 0, G_OPTION_ARG_NONE, &backward, "Gradients of convolutions", NULL },
                             { NULL } };
  g_autoptr (GOptionContext) context = g_option_context_new ("[WORD]");
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      fprintf (stderr, "%s\n", error->message);
      return 2;
    }
  const char *word = argc > 1 ? argv[1] : "";
  for (int threads = n_threads > 0 ? n_threads : 1; threads <= (n_threads > 0 ? n_threads : 2); threads++)
    {
      ht_thread_pool_set_size ((guint)threads);
      double peak = measure_peak ();
      printf ("%s, %d thread(s): peak %.1f GF/s\n", ht_isa_get_name (), threads, peak);
      for (gsize i = 0; i < G_N_ELEMENTS (layers); i++)
        for (gsize batch = 1; batch <= 32; batch += 31)
          if (strstr (layers[i].name, word) && (only_batch == 0 || batch == 1))
            bench_layer (&layers[i], only_batch ? (gsize)only_batch : batch, backward, peak);
      for (gsize i = 0; i < G_N_ELEMENTS (products) && !backward && strstr ("product", word); i++)
        bench_product (&products[i], peak);
      Copy read = { make_floats (READ_PAGES * 1024), NULL, READ_PAGES, 0 };
      printf ("reading memory: %.1f GB/s\n", (double)READ_PAGES * 4096e-9 / measure (run_copy, &read));
      g_aligned_free ((gpointer)read.x);
      printf ("peak again: %.1f GF/s\n", measure_peak ());
    }
  return 0;
}
