"""Pictures to a server and from it, by calls that another thread can let go of at once."""

import grpc

from impasto import _transfer
from impasto._client import Client
from impasto._endpoint import TRANSFER_TIMEOUT_S
from impasto._events import StoredImage, read_image
from impasto._helper._control import AbandonedError, Control
from impasto._images import Upload
from impasto.v1 import stylizer_pb2, stylizer_pb2_grpc


def upload(client: Client, data: bytes, control: Control) -> StoredImage:
    """Brings a file to the server, unless its content is there already. Raises AbandonedError once it is cancelled."""
    picture = Upload(data)

    def send(stub: stylizer_pb2_grpc.StylizerStub) -> stylizer_pb2.UploadImageResponse:
        control.check()
        call = stub.UploadImage.future(_transfer.messages(picture), timeout=TRANSFER_TIMEOUT_S)
        control.ends_with_it(call.cancel)
        try:
            return call.result()
        except grpc.FutureCancelledError:
            raise AbandonedError from None

    return read_image(client._call("UploadImage", send).image)


def download(client: Client, stored: StoredImage, control: Control) -> bytes:
    """The bytes of an image that the server holds. Raises AbandonedError once it is cancelled."""
    picture = _transfer.Download(stored.name)

    def fetch(stub: stylizer_pb2_grpc.StylizerStub) -> bytes:
        control.check()
        call = stub.DownloadImage(picture.request(), timeout=TRANSFER_TIMEOUT_S)
        control.ends_with_it(call.cancel)
        try:
            for response in call:
                picture.received(response)
        except grpc.RpcError:
            control.check()
            raise
        return picture.finish()

    return client._call("DownloadImage", fetch)
