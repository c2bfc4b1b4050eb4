"""A Qt window that shows where other tools point: the handler runs in the thread of the window."""

import os
import signal
import sys
import threading

try:
    from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
    from PySide6.QtWidgets import QApplication, QLabel
except ImportError as error:
    sys.exit(f"this needs PySide6 ({error}): pip install PySide6")

from asyncsamp import SampError
from asyncsamp.sync import Client


class Dispatcher(QObject):
    """Calls functions in the thread in which it was made; PyQt names these pyqtSignal and pyqtSlot."""

    due = Signal(object)

    def __init__(self):
        super().__init__()
        self.due.connect(self.run, Qt.ConnectionType.QueuedConnection)

    @Slot(object)
    def run(self, work):
        work()


if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"} & os.environ.keys():
    sys.exit("this shows a window, so start it on a desktop: there is no $DISPLAY")  # Qt would abort
app = QApplication(sys.argv)
label = QLabel("nobody has pointed yet")
label.resize(400, 100)
label.show()
dispatcher = Dispatcher()
client = Client("qt window", dispatcher=dispatcher.due.emit)


@client.on("coord.pointAt.sky")
def point(message):
    label.setText(f"ra {message.params['ra']}, dec {message.params['dec']}")
    print(label.text(), "in", threading.current_thread().name, flush=True)


try:
    with client:
        signal.signal(signal.SIGINT, lambda *_: app.quit())
        look_for_ctrl_c = QTimer()
        look_for_ctrl_c.timeout.connect(lambda: None)  # while Qt waits for an event, Python takes no signal
        look_for_ctrl_c.start(200)
        print("listening", flush=True)
        app.exec()
except SampError as error:
    sys.exit(str(error))
print("left", flush=True)
