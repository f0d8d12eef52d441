"""The socket types of this pack, one constant each."""

from comfy_api.latest import io

GeneratorSocket = io.Custom("PSFR_GENERATOR")  # runtime.HostedNetwork of a FaceRestorer
ParserSocket = io.Custom("PSFR_FACE_PARSER")  # runtime.HostedNetwork of a ParseNet
DetectorSocket = io.Custom("PSFR_FACE_DETECTOR")  # runtime.HostedNetwork of a CompactFaceNet or a RetinaFace
FacesSocket = io.Custom("PSFR_FACES")  # detected_faces.DetectedFaces
ParseMapSocket = io.Custom("PSFR_PARSE_MAP")  # psfr_core's ParseMap
RestoreOptionsSocket = io.Custom("PSFR_RESTORE_OPTIONS")  # batch_options.BatchOptions
PasteOptionsSocket = io.Custom("PSFR_PASTE_OPTIONS")  # psfr_core's PasteOptions
DegradationSocket = io.Custom("PSFR_DEGRADATION")  # psfr_core's DegradationConfig

# A type of ComfyUI since 0.15: a list of {x, y, width, height, label, score} in pixels for each frame.
BoundingBoxSocket = io.Custom("BOUNDING_BOX")

SegsSocket = io.Custom("SEGS")  # Impact Pack's type; see segs.py
