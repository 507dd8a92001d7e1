"""Extractor, statistics, scalar: what is measured of pictures; knows nothing of methods or suites."""

from __future__ import annotations

from ..core.registry import Entry, Registry
from .metric import Metric

METRICS: Registry[Metric] = Registry(
    "metric",
    ".metrics.metric:Metric",
    {
        "fid": Entry(".metrics.frechet:FID", "Fréchet distance over Inception pool3"),
        "fid_infinity": Entry(".metrics.fid_infinity:FID_INFINITY", "FID extrapolated to infinitely many pictures"),
        "rfid": Entry(".metrics.frechet:RFID", "FID of reconstructions against their sources"),
        "kid": Entry(".metrics.kernel:KID", "kernel distance over Inception pool3, without bias"),
        "inception_score": Entry(".metrics.inception_score:INCEPTION_SCORE", "Inception Score, without a reference"),
        "precision": Entry(".metrics.manifold:PRECISION", "share of pictures among the real ones"),
        "recall": Entry(".metrics.manifold:RECALL", "share of real pictures among the generated ones"),
        "density": Entry(".metrics.manifold:DENSITY", "how densely real pictures surround the generated ones"),
        "coverage": Entry(".metrics.manifold:COVERAGE", "share of real pictures with a generated one near"),
        "clip_score": Entry(".metrics.clip_score:CLIP_SCORE", "cosine of picture and prompt by the suite's CLIP model"),
        "clip_score_x100": Entry(".metrics.clip_score:CLIP_SCORE_X100", "100 times the same cosine"),
        "clip_score_x100_clamped": Entry(
            ".metrics.clip_score:CLIP_SCORE_X100_CLAMPED", "100 times the same cosine, negative ones as 0"
        ),
        "clip_score_vit_b_32_x100": Entry(
            ".metrics.clip_score:CLIP_SCORE_VIT_B_32_X100",
            "100 times the cosine by OpenAI's ViT-B/32, as MLPerf has it",
        ),
        "fd_dinov2": Entry(".metrics.dinov2:FD_DINOV2", "Fréchet distance over DINOv2 ViT-L/14"),
        "kd_dinov2": Entry(".metrics.dinov2:KD_DINOV2", "kernel distance over DINOv2 ViT-L/14"),
        "cmmd": Entry(".metrics.cmmd:CMMD", "maximum mean discrepancy over CLIP ViT-L/14 at 336 pixels"),
        "hps_v2": Entry(".metrics.preference:HPS_V2", "human preference score, version 2.0, times 100"),
        "hps_v2_1": Entry(".metrics.preference:HPS_V2_1", "human preference score, version 2.1, times 100"),
        "clip_aesthetic": Entry(".metrics.preference:CLIP_AESTHETIC", "LAION's aesthetic rating, about 1 to 10"),
        "psnr": Entry(".metrics.pairwise:PSNR", "peak signal-to-noise ratio against a target, dB"),
        "ssim": Entry(".metrics.pairwise:SSIM", "structural similarity to a target"),
        "ms_ssim": Entry(".metrics.pairwise:MS_SSIM", "structural similarity over five scales, as torchmetrics has it"),
        "ms_ssim_valid": Entry(
            ".metrics.pairwise:MS_SSIM_VALID", "structural similarity over five scales, as its authors have it"
        ),
        "lpips": Entry(".metrics.pairwise:LPIPS", "learned perceptual distance from a target"),
        "lpips_alex": Entry(".metrics.pairwise:LPIPS_ALEX", "LPIPS over AlexNet"),
        "lpips_vgg": Entry(".metrics.pairwise:LPIPS_VGG", "LPIPS over VGG-16"),
        "lpips_squeeze": Entry(".metrics.pairwise:LPIPS_SQUEEZE", "LPIPS over SqueezeNet"),
        "caption_accuracy": Entry(
            ".metrics.captions:CAPTION_ACCURACY",
            "share of pictures with the objects and relations, or the face, of their captions",
        ),
        "edge_f1": Entry(".metrics.control:EDGE_F1", "how well edges keep to the Canny edges asked for"),
        "landmark_error": Entry(
            ".metrics.control:LANDMARK_ERROR", "how far face landmarks are from those asked for, of the faces found"
        ),
        "face_detection": Entry(
            ".metrics.control:FACE_DETECTION", "share of pictures with a face where one was asked for"
        ),
        "depth_rmse": Entry(
            ".metrics.control:DEPTH_RMSE", "how far depth is from that asked for, after scale and shift"
        ),
        "region_iou": Entry(".metrics.regions:REGION_IOU", "overlap of what is seen with the regions asked for"),
        "object_iou": Entry(
            ".metrics.regions:OBJECT_IOU", "overlap of things of the right name with where they were asked for"
        ),
        "seam_ratio": Entry(
            ".metrics.panorama:SEAM_RATIO",
            "how steep a panorama is between its squares, over how steep it is elsewhere",
        ),
        "wrap_seam_ratio": Entry(".metrics.panorama:WRAP_SEAM_RATIO", "the same where the ends of a panorama meet"),
        "intra_lpips": Entry(".metrics.panorama:INTRA_LPIPS", "LPIPS between the squares of a panorama"),
        "background_psnr": Entry(".metrics.editing:BACKGROUND_PSNR", "PSNR of what an edit should have left alone, dB"),
        "background_mse": Entry(
            ".metrics.editing:BACKGROUND_MSE", "squared error of what an edit should have left alone"
        ),
        "background_ssim": Entry(".metrics.editing:BACKGROUND_SSIM", "SSIM of what an edit should have left alone"),
        "background_lpips": Entry(".metrics.editing:BACKGROUND_LPIPS", "LPIPS of what an edit should have left alone"),
        "edit_success": Entry(".metrics.editing:EDIT_SUCCESS", "share of pictures that show what their edits ask for"),
        "objects_kept": Entry(
            ".metrics.editing:OBJECTS_KEPT", "share of the objects left alone that are still as and where they were"
        ),
        "clip_score_edited_x100_clamped": Entry(
            ".metrics.editing:CLIP_SCORE_EDITED_X100_CLAMPED",
            "100 times the cosine of the edited part alone and prompt, negative ones as 0",
        ),
        "picture_drift": Entry(".metrics.drift:PICTURE_DRIFT", "mean difference of pixels from PyTorch's picture"),
        "mini_drift": Entry(".metrics.drift:MINI_DRIFT", "how far scenes moved, of the distance between scenes"),
        "inception_drift": Entry(
            ".metrics.drift:INCEPTION_DRIFT", "how far pictures moved in Inception's features, of their distance"
        ),
        "mini_fd": Entry(".metrics.mini:MINI_FD", "Fréchet distance of drawn scenes over the mini world's features"),
        "mini_kd": Entry(".metrics.mini:MINI_KD", "kernel distance of drawn scenes over the same, without bias"),
        "mini_clip_score": Entry(
            ".metrics.mini:MINI_CLIP_SCORE", "cosine of drawn scene and caption by the mini world's CLIP"
        ),
        "mini_clip_score_edited": Entry(
            ".metrics.mini:MINI_CLIP_SCORE_EDITED", "the same cosine of the edited part alone"
        ),
    },
    group="t2ibench.metrics",
)

__all__ = ["METRICS", "Metric"]
