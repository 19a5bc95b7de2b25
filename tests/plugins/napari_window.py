"""Let napari open a run in a window and go to a frame; leave pictures of its canvas and of it."""

import sys

import napari
import npe2
from qtpy.QtWidgets import QApplication

manifest, frame, canvas, window, *names = sys.argv[1:]
if "cxistack" not in npe2.PluginManager.instance():  # of an editable installation
    npe2.PluginManager.instance().register(npe2.PluginManifest.from_file(manifest))
viewer = napari.Viewer()
viewer.open(names, plugin="cxistack", stack=True)
viewer.dims.set_point(0, int(frame))
for _ in range(3):  # until it is drawn
    QApplication.processEvents()
viewer.screenshot(canvas, flash=False)
viewer.screenshot(window, canvas_only=False, flash=False)
viewer.close()
