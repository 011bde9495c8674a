# SPDX-License-Identifier: MIT
"""The networks of the assets: data, preprocessing as a recipe writes it and as numpy does it, published top-1."""
import os

import numpy as np

ASSETS = os.environ.get("HALFTONE_ASSETS", os.path.join(os.path.dirname(__file__), "../../../shared/assets"))
IMAGENET = {"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
CIFAR = ("cifar10_test_x.npy", "cifar10_test_y.npy", "cifar10_calib_x.npy", 512)

# name: (evaluation data, labels, calibration data, calibration samples), preprocessing, published top-1 or None
NETWORKS = {
    "resnet20_cifar10": (CIFAR, {"layout": "NHWC", **IMAGENET}, 91.54),
    "resnet20_cifar10_raw": (CIFAR, {"layout": "NHWC", **IMAGENET}, 91.54),
    "resnet32_cifar10": (CIFAR, {"layout": "NHWC", **IMAGENET}, 92.38),
    "mobilenetv1_100_trunk_cifar10": (CIFAR, {"layout": "NHWC", "scale": 1 / 127.5, "mean": [1.0]}, 84.32),
    "mobilenetv1_025_vww96": (("vww96_x.npy", "vww96_y.npy", "vww96_x.npy", 64), {"layout": "NHWC", "scale": 1 / 255}, 88.50),
    "dscnn_kws_mlperftiny": (("speechcommands_dscnn_mfcc_x.npy", "speechcommands_dscnn_mfcc_y.npy", "speechcommands_dscnn_mfcc_x.npy", 64),
                             {"scale": 0.5847029089927673, "mean": [83 * 0.5847029089927673], "shape": [1, 49, 10]}, 90.50),
    "kwt1_speechcommands12": (("speechcommands_kwt_mfcc_x.npy", "speechcommands_kwt_mfcc_y.npy", "speechcommands_kwt_mfcc_x.npy", 64), {}, 97.17),
    "kwt1_speechcommands12_op17": (("speechcommands_kwt_mfcc_x.npy", "speechcommands_kwt_mfcc_y.npy", "speechcommands_kwt_mfcc_x.npy", 64), {}, 97.17),
    "mnist_cnn_opset8": (("mnist_test_x.npy", "mnist_test_y.npy", "mnist_test_x.npy", 64), {"shape": [1, 28, 28]}, 98.3),
    "squeezenet1_1_imagenet": (("coco_calib320_x.npy", None, "coco_calib320_x.npy", 24),
                               {"layout": "NHWC", "center-crop": [224, 224], "channel-order": "reverse", "mean": [104.0, 117.0, 123.0]}, None),
    "ultraface_rfb320": (("face240x320_x.npy", None, "face240x320_x.npy", 16), {"layout": "NHWC", "scale": 1 / 128, "mean": [127 / 128]}, None),
}


def model_path(name):
    return os.path.join(ASSETS, "models", name + ".onnx")


def data_path(file):
    return os.path.join(ASSETS, "data", file)


def preprocess(name, raw):
    """The network's float32 inputs from raw rows, by numpy."""
    _, how, _ = NETWORKS[name]
    x = raw.astype(np.float64)
    if "shape" in how:
        x = x.reshape([len(x)] + how["shape"])
    if "center-crop" in how:
        height, width = how["center-crop"]
        top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
        x = x[:, top:top + height, left:left + width]
    if how.get("channel-order") == "reverse":
        x = x[..., ::-1]
    if how.get("layout") == "NHWC":
        x = x.transpose(0, 3, 1, 2)
    each = lambda values: np.array(values).reshape([-1] + [1] * (x.ndim - 2))
    x = x * how.get("scale", 1.0)
    x = (x - each(how.get("mean", [0.0]))) / each(how.get("std", [1.0]))
    return np.ascontiguousarray(x.astype(np.float32))


def recipe(name, directory, weights, activations, pipeline, formats=("onnx-qdq",)):
    """A recipe for this network, as text; JSON is YAML."""
    import json
    (evaluation, labels, calibration, samples), how, _ = NETWORKS[name]
    data = {"calibration": {"path": data_path(calibration), "samples": samples, "batch": 32},
            "evaluation": {"path": data_path(evaluation), "batch": 64}}
    if labels:
        data["evaluation"]["labels"] = data_path(labels)
    if how:
        data["preprocess"] = how
    return json.dumps({"recipe": "1.0", "name": name, "model": model_path(name), "data": data,
                       "quantization": {"weights": weights, "activations": activations}, "pipeline": pipeline,
                       "output": {"directory": directory, "formats": list(formats), "report": ["json"]}}, indent=1)


def random_feeds(session, batch):
    """Inputs for an onnxruntime session: about normal numbers, 16000 for integers, 576 samples of a sequence."""
    rng = np.random.default_rng(1)
    feeds = {}
    for value in session.get_inputs():
        shape = [d if isinstance(d, int) else 576 if d == "sequence" else batch for d in value.shape]
        is_float = value.type == "tensor(float)"
        feeds[value.name] = rng.standard_normal(shape).astype(np.float32) if is_float else np.full(shape, 16000, np.int64)
    return feeds
