"""A Qt program with its own hub, which asks in a window what a web page may do: `qt_consent.py [PORT]`."""

import asyncio
import os
import sys

try:
    from PySide6.QtCore import QObject, Qt, Signal, Slot
    from PySide6.QtWidgets import QApplication, QLabel, QMessageBox
except ImportError as error:
    sys.exit(f"this needs PySide6 ({error}): pip install PySide6")

from asyncsamp import ConsentAnswer, Permission, SampError, WebProfile
from asyncsamp.sync import Hub

BUTTONS = {
    "Deny": ConsentAnswer.DENY,
    "Allow once": ConsentAnswer.ALLOW,
    "Always for this origin": ConsentAnswer.ALLOW_ALWAYS,
}


class Asker(QObject):
    """Is asked in the hub's thread, and shows the question in that of the windows."""

    asked = Signal(object, object, object)
    over = Signal(object)

    def __init__(self):
        super().__init__()
        self.boxes = {}
        self.asked.connect(self.show, Qt.ConnectionType.QueuedConnection)
        self.over.connect(self.close, Qt.ConnectionType.QueuedConnection)

    async def __call__(self, question):
        loop = asyncio.get_running_loop()
        answer = loop.create_future()

        def say(text):
            loop.call_soon_threadsafe(lambda: answer.done() or answer.set_result(BUTTONS[text]))

        self.asked.emit(question, answer, say)
        try:
            return await answer
        finally:
            self.over.emit(answer)  # answered, or taken back: the page was closed

    @Slot(object, object, object)
    def show(self, question, answer, say):
        wants = "register" if question.wants is Permission.REGISTER else f"send {question.detail}"
        box = self.boxes[answer] = QMessageBox()
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(f"{question.name} of {question.origin or 'no origin'} asks to {wants}")
        for text in BUTTONS:
            box.addButton(text, QMessageBox.ButtonRole.ActionRole)
        box.buttonClicked.connect(lambda button: say(button.text()))
        box.open()

    @Slot(object)
    def close(self, answer):
        self.boxes.pop(answer).done(0)


if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"} & os.environ.keys():
    sys.exit("this shows a window, so start it on a desktop: there is no $DISPLAY")  # Qt would abort
app = QApplication(sys.argv)
label = QLabel("a hub runs here")
label.resize(400, 100)
label.show()
asker = Asker()
try:
    web = WebProfile(consent=asker, more=asker, port=int(sys.argv[1]) if sys.argv[1:] else 21012)
    with Hub(profiles=[web]):
        print("running", flush=True)
        app.exec()
except SampError as error:
    sys.exit(str(error))
except ValueError:
    sys.exit("usage: python qt_consent.py [PORT]")
