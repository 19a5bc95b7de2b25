"""Runs in an object store are read by their keys; credentials are the library's own affair."""

import subprocess
import sys
import textwrap

import h5py
import hdf5plugin
import numpy as np
import pytest

from cxistack import CXIStore
from factory import frames
from factory.runs import PROTOCOL

pytest.importorskip("obstore")
moto = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")

SHAPE = (100, 80)
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_REGION")


@pytest.fixture(scope="module")
def endpoint():
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(endpoint):
    words = {"aws_access_key_id": "someone", "aws_secret_access_key": "hush-hush"}
    made = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **words)
    yield made
    made.close()


@pytest.fixture
def bucket(endpoint, client, tmp_path, monkeypatch):
    """Write a run of two files to a bucket; return its frames."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    client.create_bucket(Bucket="beamtime")
    arrays = []
    for n in range(2):
        arrays.append(frames(8, SHAPE, start=1000 * n))
        with h5py.File(tmp_path / "run.h5", "w") as h5:
            chunks = {"chunks": (1, *SHAPE), **hdf5plugin.Bitshuffle()}
            h5.create_dataset("/frames", data=arrays[-1], **chunks)
            h5["/large"] = np.zeros(1 << 18)
        client.upload_file(tmp_path / "run.h5", "beamtime", f"a scan/run {n}.h5")
    return np.concatenate(arrays)


URLS = ["s3://beamtime/a scan/run 0.h5", "s3://beamtime/a scan/run 1.h5"]


def test_pixels_come_by_their_keys(bucket):
    store = CXIStore(URLS, protocol=PROTOCOL)
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), bucket)
    np.testing.assert_array_equal(store["data"][3:9, 10:20, 5], bucket[3:9, 10:20, 5])
    assert store.filenames() == URLS
    assert "hush-hush" not in repr(store) + store.explain("data") + repr(vars(store))


def test_a_key_that_is_not_there_is_told(bucket):
    with pytest.raises(FileNotFoundError, match="no such file"):
        CXIStore("s3://beamtime/none.h5", protocol=PROTOCOL)


def test_a_profile_gives_credentials(bucket, tmp_path, monkeypatch):
    file = tmp_path / "credentials"
    file.write_text("[mine]\naws_access_key_id = me\naws_secret_access_key = hush-hush\n")
    script = f"""
        import cxistack
        paths, kinds = {{"data": ["/frames"]}}, {{"data": "stack"}}
        protocol = cxistack.CXIProtocol({{"data": "uint"}}, paths, kinds)
        print(cxistack.CXIStore({URLS!r}, protocol=protocol)["data"][5].sum())
    """
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == bucket[5].sum()


def test_an_object_that_changes_is_read_anew(bucket, client, tmp_path):
    store = CXIStore(URLS[0], protocol=PROTOCOL)
    assert store["data"].shape == (8, *SHAPE)
    with h5py.File(tmp_path / "run.h5", "w") as h5:
        h5.create_dataset("/frames", data=bucket[4:10], chunks=(2, *SHAPE), compression="gzip")
        h5["/large"] = np.zeros(1 << 18)
    client.upload_file(tmp_path / "run.h5", "beamtime", "a scan/run 0.h5")
    store.update_indices()
    np.testing.assert_array_equal(store.load_attribute("data", verbose=False), bucket[4:10])
