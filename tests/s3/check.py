"""Files of apps on an S3 store: `mixer serve` beside a store of its own, looked at from both sides.

Usage: check.py MIXER SCRATCH
"""

import contextlib
import faulthandler
import http.client
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
# Longest time of one step and of the start of a server, also where other work keeps the machine busy.
STEP_LIMIT, START_LIMIT = 900, 300
mixer, scratch = sys.argv[1], sys.argv[2]
BUCKET, APP = "mix-files", "/v1/ws/acme/app/demo"
KEYS = {"access": "AKIAEXAMPLE", "secret": "secret/of+the=test"}


def free_port():
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Mixer:
    """A server whose files lie on the store."""

    def __init__(self, folder, endpoint, arguments=(), **more):
        names = {
            "ENDPOINT": endpoint, "REGION": "eu-central-1", "BUCKET_NAME": BUCKET,
            "ACCESS_KEY": KEYS["access"], "SECRET_KEY": KEYS["secret"], **more,
        }
        environment = dict(os.environ, RUST_LOG="warn")
        environment.update({f"MIXER_S3_{name}": value for name, value in names.items()})
        command = [mixer, "serve", "--ws-dir", os.path.join(scratch, folder), "--port", "0", *arguments]
        self.log = open(os.path.join(scratch, "mixer.log"), "ab")
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        print("waiting for mixer serve to listen", flush=True)
        late = threading.Timer(START_LIMIT, self.process.kill)
        late.start()
        line = self.process.stdout.readline()
        late.cancel()
        assert line.startswith("listening on "), f"no server within {START_LIMIT} s: {line}{open(self.log.name).read()}"
        self.base = line.split()[-1]
        self.address = urllib.parse.urlsplit(self.base).netloc

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=120)
        headers = dict(headers or {})
        if body is not None and "content-type" not in headers:
            headers["content-type"] = "application/octet-stream"
        if isinstance(body, (dict, list)):
            body, headers["content-type"] = json.dumps(body), "application/json"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        found = {name.lower(): value for name, value in answer.getheaders()}
        connection.close()
        return answer.status, content, found

    def json(self, method, path, body=None, headers=None, status=200):
        found, content, _ = self.ask(method, path, body, headers)
        assert found == status, (method, path, found, content[:500])
        return json.loads(content) if content else None

    def put(self, path, content, query="", status=201):
        return self.json("PUT", f"{APP}/file-manager/content?path={urllib.parse.quote(path)}{query}", content, status=status)

    def list(self, path, query=""):
        rows = self.json("GET", f"{APP}/file-manager/content?path={urllib.parse.quote(path)}{query}")
        return [row["path"] for row in rows]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0
        self.log.close()


def check(condition, *what):
    assert condition, what


def begin(name):
    """Says what is under way. A step that takes too long says where it waits, and ends everything."""
    print(f"{name} …", flush=True)
    faulthandler.dump_traceback_later(STEP_LIMIT, exit=True)


def files(server, store):
    """Writing, reading, parts, listing with pages, renaming, copying, deleting."""

    def keys():
        return sorted(item["Key"] for page in store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET) for item in page.get("Contents", []))

    info = server.put("/public/a b+ü&.txt", b"0123456789")
    check(info["metadata"]["size"] == 10 and info["kind"] == "persisted", info)
    check(keys() == ["acme/demo/public/a b+ü&.txt"], keys())
    stored = store.get_object(Bucket=BUCKET, Key="acme/demo/public/a b+ü&.txt")
    check(stored["Body"].read() == b"0123456789" and stored["ContentType"].startswith("text/plain"), stored)
    check(not os.path.exists(f"{scratch}/ws/acme/demo/files/public"))
    url = f"{APP}/files/public/{urllib.parse.quote('a b+ü&.txt')}"
    status, content, headers = server.ask("GET", url)
    check((status, content) == (200, b"0123456789"), status, content)
    tag = headers["etag"]
    check(server.ask("GET", url, headers={"if-none-match": tag})[0] == 304)
    for part, expected, place in [("2-4", b"234", "2-4/10"), ("-3", b"789", "7-9/10"), ("8-", b"89", "8-9/10")]:
        status, content, headers = server.ask("GET", url, headers={"range": f"bytes={part}"})
        check((status, content, headers["content-range"]) == (206, expected, f"bytes {place}"), part, status, content)
    check(server.ask("GET", url, headers={"range": "bytes=10-"})[0] == 416)
    status, content, headers = server.ask("HEAD", url)
    check((status, content, headers["content-length"]) == (200, b"", "10"), headers)

    check(server.json("PUT", f"{APP}/file-manager/content?path=/public/{urllib.parse.quote('a b+ü&.txt')}", b"x", status=409)["error"]["code"] == "exists")
    server.put("/public/a b+ü&.txt", b"new", "&force=true", status=200)
    check(server.ask("GET", url)[1] == b"new")

    # More than one part.
    large = os.urandom(20 << 20)
    info = server.put("/large.bin", large)
    check(info["metadata"]["size"] == len(large))
    check("-" in store.head_object(Bucket=BUCKET, Key="acme/demo/large.bin")["ETag"], "in parts")
    signed = urllib.parse.urlsplit(info["url"])
    check(server.ask("GET", f"{signed.path}?{signed.query}")[1] == large)
    status, content, _ = server.ask("GET", f"{APP}/files/large.bin", headers={"range": "bytes=9000000-9000009"})
    check((status, content) == (206, large[9000000:9000010]))
    copied = server.json("POST", f"{APP}/file-manager/copy?src=/large.bin&path=/copy.bin", status=201)
    check(copied["metadata"]["size"] == len(large))
    renamed = server.json("PATCH", f"{APP}/file-manager/props?path=/copy.bin&change_path=/deep/er/copy.bin")
    check(renamed["path"] == "/deep/er/copy.bin")
    check(server.json("PATCH", f"{APP}/file-manager/props?path=/large.bin&change_path=/deep/er/copy.bin", status=409)["error"]["code"] == "exists")
    check(server.ask("GET", f"{APP}/files/copy.bin")[0] == 404)

    # Files and folders do not mix.
    for path in ["/large.bin/below", "/deep/er", "/deep"]:
        check(server.json("PUT", f"{APP}/file-manager/content?path={path}", b"x", status=409)["error"]["code"] == "exists", path)

    # More objects than a page of the store has.
    for number in range(1100):
        store.put_object(Bucket=BUCKET, Key=f"acme/demo/many/{number:04}", Body=b"x")
    listed = server.list("/many/")
    check(len(listed) == 1100 and listed == sorted(listed), len(listed))
    check(server.list("/many/", "&after=/many/1097") == ["/many/1098", "/many/1099"])
    check(server.list("/") == ["/deep/", "/large.bin", "/many/", "/public/"], server.list("/"))
    check(server.list("/", "&recursive=true&after=/many/1099") == ["/public/a b+ü&.txt"])
    check(server.ask("DELETE", f"{APP}/file-manager/content?path=/many/")[0] == 204)
    check(server.ask("DELETE", f"{APP}/file-manager/content?path=/many/")[0] == 404)
    check(not [key for key in keys() if "/many/" in key])

    # Programs lie in the folder of the app.
    server.put("/code/note.txt", b"x")
    check(os.path.exists(f"{scratch}/ws/acme/demo/files/code/note.txt") and not [key for key in keys() if "code" in key])
    check("/code/" in server.list("/"))

    # Paths that lead elsewhere, and objects that are nobody's file.
    store.put_object(Bucket=BUCKET, Key="acme/other/secret", Body=b"secret")
    for path in ["/../other/secret", "/a/../../other/secret", "/a//b", "/%2e%2e/x", "/a\\b"]:
        quoted = path if "%" in path else urllib.parse.quote(path)
        status, content, _ = server.ask("GET", f"{APP}/file-manager/content?path={quoted}")
        check((status, json.loads(content)["error"]["code"]) == (400, "bad_path"), path, status)
    for key in ["acme/demo/a//b", "acme/demo/../x", "acme/demo/code/evil.mixexe", "acme/demo/tab\tx"]:
        store.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    check(server.list("/", "&recursive=true") == ["/code/note.txt", "/deep/er/copy.bin", "/large.bin", "/public/a b+ü&.txt"], server.list("/", "&recursive=true"))
    long = "/" + "/".join(["x" * 250] * 4 + ["y" * 15])
    check(server.json("PUT", f"{APP}/file-manager/content?path={long}", b"x", status=400)["error"]["code"] == "bad_path")


def uploads(server):
    """A client that registers a file uploads it itself."""
    form = urllib.parse.urlencode({"path": "/up/photo.jpg", "reg_url": "blob:1", "reg_metadata": json.dumps({"title": "T", "size": 3})})
    info = server.json("POST", f"{APP}/file-manager/register", form, {"content-type": "application/x-www-form-urlencoded"}, status=201)
    check(info["kind"] == "client" and info["url"] == "blob:1", info)
    ticket = urllib.parse.urlsplit(info["metadata"]["_rmx_upload_url"]).path
    check(server.list("/up/") == ["/up/photo.jpg"])
    content = os.urandom(9 << 20)
    done = server.json("PUT", ticket, content, status=201)
    check(done["kind"] == "persisted" and done["metadata"]["title"] == "T" and done["metadata"]["size"] == len(content), done)
    check(server.json("PUT", ticket, b"x", status=410)["error"]["code"] == "expired")
    check(server.ask("GET", f"{APP}/files/up/photo.jpg")[1] == content)


def packages(server, store):
    """What is installed moves to the store; workspaces leave and come as a whole."""
    sources = f"{scratch}/sources"
    os.makedirs(f"{sources}/files/public")
    with open(f"{sources}/app.mix", "w") as text:
        text.write(
            "module files(p:data)\n"
            "  cell output = {\n"
            "    read: binary.toString(result.get(file.read(null, \"/public/hello.txt\"))),\n"
            "    list: array.map(.path, result.get(file.list(null, \"/public\")))\n"
            "  }\n"
            "module end\n"
        )
    with open(f"{sources}/files/public/hello.txt", "w") as text:
        text.write("hello")
    subprocess.run([mixer, "build", sources, "-o", f"{scratch}/demo.remix", "--app", "packed"], check=True)
    package = open(f"{scratch}/demo.remix", "rb").read()
    server.json("POST", "/v1/ws/acme/install", package)
    path = "/v1/ws/acme/app/packed"

    def settled(key):
        for _ in range(200):
            with contextlib.suppress(store.exceptions.ClientError):
                store.head_object(Bucket=BUCKET, Key=key)
                return True
            time.sleep(0.05)
        return False

    check(server.ask("GET", f"{path}/files/public/hello.txt")[1] == b"hello")
    check(settled("acme/packed/public/hello.txt"))
    check(server.ask("GET", f"{path}/files/public/hello.txt")[1] == b"hello")
    output = server.json("GET", f"{path}/agent/files/run?outputEscEnabled=true")
    check(output == {"read": "hello", "list": ["/public/hello.txt"]}, output)

    status, tape, _ = server.ask("GET", "/v1/ws/acme/export")
    check(status == 200)
    with open(f"{scratch}/tape.remix", "wb") as file:
        file.write(tape)
    server.json("POST", "/v1/ws-import?ws=copy", tape, status=201)
    check(server.ask("GET", "/v1/ws/copy/app/packed/files/public/hello.txt")[1] == b"hello")
    check(settled("copy/packed/public/hello.txt"))
    # In the place of one that is there: nothing of the old one is left.
    store.put_object(Bucket=BUCKET, Key="copy/packed/old", Body=b"x")
    server.json("POST", "/v1/ws-import?ws=copy&replace=true", tape, status=201)
    check(server.ask("GET", "/v1/ws/copy/app/packed/files/old")[0] == 404)
    check(server.ask("GET", "/v1/ws/copy/app/packed/files/public/hello.txt")[1] == b"hello")
    check(settled("copy/packed/public/hello.txt"))
    check(server.ask("DELETE", "/v1/ws/copy")[0] == 204)
    check("Contents" not in store.list_objects_v2(Bucket=BUCKET, Prefix="copy/"))
    check(server.ask("DELETE", path)[0] == 204)
    check("Contents" not in store.list_objects_v2(Bucket=BUCKET, Prefix="acme/packed/"))


def moving(endpoint, store):
    """A server whose files lay on its disk so far moves them at its start."""
    folder = f"{scratch}/older/acme/demo/files/notes"
    os.makedirs(f"{scratch}/older/acme/demo/files/code")
    os.makedirs(folder)
    with open(f"{folder}/a%20b.txt", "w") as text:
        text.write("before")
    server = Mixer("older", endpoint)
    for _ in range(200):
        if not os.path.exists(folder):
            break
        time.sleep(0.05)
    check(store.get_object(Bucket=BUCKET, Key="acme/demo/notes/a b.txt")["Body"].read() == b"before")
    check(server.ask("GET", f"{APP}/files/notes/a%20b.txt")[1] == b"before")
    server.stop()


def failures(port):
    """A store that refuses, and one that is not there."""
    class Refusing(threading.Thread):
        def run(self):
            listener = socket.create_server(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
            self.ready.set()
            while True:
                one, _ = listener.accept()
                request = one.recv(65536)
                status = "403 Forbidden"
                text = "<Error><Code>AccessDenied</Code><Message>secret detail</Message></Error>"
                if self.lists and b"list-type=2" in request:
                    status = "200 OK"
                    text = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>acme/demo/x</Key><Size>1</Size>" \
                        "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;a&quot;</ETag></Contents></ListBucketResult>"
                one.sendall(f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
                one.close()

    def refusing(lists):
        thread = Refusing(daemon=True)
        thread.lists, thread.ready = lists, threading.Event()
        thread.start()
        thread.ready.wait()
        return f"http://127.0.0.1:{thread.port}"

    tape = open(f"{scratch}/tape.remix", "rb").read()

    def replaces_nothing(server):
        """A workspace is exchanged as a whole or not at all."""
        answer = server.json("POST", "/v1/ws-import?ws=acme&replace=true", tape, status=502)
        check(answer["error"]["code"] == "upstream", answer)
        check(server.ask("GET", APP)[0] == 200)
        check(server.ask("GET", "/v1/ws/acme/app/packed")[0] == 404)

    for endpoint in [refusing(False), f"http://127.0.0.1:{free_port()}"]:
        server = Mixer("failing", endpoint)
        server.ask("POST", "/v1/ws", {"name": "acme"})
        server.ask("POST", APP, {})
        for method, path in [("PUT", "content?path=/x"), ("GET", "content?path=/x"), ("GET", "content?path=/"), ("DELETE", "content?path=/x")]:
            answer = server.json(method, f"{APP}/file-manager/{path}", b"x" if method == "PUT" else None, status=502)
            check(answer["error"]["code"] == "upstream" and "secret" not in json.dumps(answer), answer)
        # Nothing half is left, and what does not need the store works.
        check(server.ask("PUT", f"{APP}/file-manager/content?path=/code/x.txt&force=true", b"x")[0] in (200, 201))
        replaces_nothing(server)
        server.stop()
    # One that tells what it has, and takes nothing away.
    server = Mixer("failing", refusing(True))
    replaces_nothing(server)
    check(server.ask("GET", f"{APP}/file-manager/content?path=/code/x.txt")[1] == b"x")
    server.stop()
    incomplete = subprocess.run(
        [mixer, "serve", "--ws-dir", f"{scratch}/none", "--port", "0"],
        env=dict(os.environ, MIXER_S3_ENDPOINT="http://127.0.0.1:1"), capture_output=True, text=True, timeout=60,
    )
    check(incomplete.returncode == 2 and "MIXER_S3_REGION is missing" in incomplete.stderr, incomplete)


def main():
    begin("starting the store")
    port = free_port()
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    moto.start()
    endpoint = f"http://127.0.0.1:{port}"
    store = boto3.client(
        "s3", endpoint_url=endpoint, region_name="eu-central-1", aws_access_key_id=KEYS["access"],
        aws_secret_access_key=KEYS["secret"],
        config=Config(s3={"addressing_style": "path"}, connect_timeout=30, read_timeout=120, retries={"max_attempts": 2}),
    )
    store.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    server = Mixer("ws", endpoint)
    server.json("POST", "/v1/ws", {"name": "acme"}, status=201)
    server.json("POST", APP, {}, status=201)
    for name, step in [("files", lambda: files(server, store)), ("uploads", lambda: uploads(server)), ("packages", lambda: packages(server, store))]:
        begin(name)
        step()
        print(f"{name}: fine", flush=True)
    server.stop()
    begin("moving")
    moving(endpoint, store)
    print("moving: fine", flush=True)
    begin("public domain")
    server = Mixer("ws", endpoint, PUBLIC_DOMAIN="files.example.com")
    status, _, headers = server.ask("GET", f"{APP}/files/public/{urllib.parse.quote('a b+ü&.txt')}")
    check((status, headers["location"]) == (302, "https://files.example.com/acme/demo/public/a%20b%2B%C3%BC%26.txt"), status, headers)
    server.stop()
    print("public domain: fine", flush=True)
    moto.stop()
    begin("failures")
    failures(port)
    faulthandler.cancel_dump_traceback_later()
    print("failures: fine", flush=True)


main()
