"""Checks deploy/ and the Dockerfile: deploy_test.py COOKIXD, at the top of the repository.

Every setting is asked of the server itself (--check-config). Flags of etcd are asked of etcd where
it is installed.
"""
import re
import shlex
import shutil
import subprocess
import sys

import script_cases
import yaml

DATA = "/var/lib/cookix"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def check_settings(cookixd, environment, flags=()):
    """The server takes all of them, together."""
    result = subprocess.run([cookixd, "--check-config", *flags], env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            check=False)
    expect(result.returncode == 0, result.stdout)
    expect("not a setting" not in result.stdout, result.stdout)


def image_environment():
    """What the Dockerfile sets."""
    [text] = re.findall(r"^ENV (COOKIX_.*?[^\\])$", read("Dockerfile"), re.MULTILINE | re.DOTALL)
    return dict(pair.split("=", 1) for pair in shlex.split(text.replace("\\\n", " ")))


def compose(path):
    """The file, with the defaults of its variables."""
    return yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", read(path)))


def cookix_services(file):
    return {name: service for name, service in file["services"].items()
            if service["image"] == "cookix"}


def check_compose_settings(cookixd, path):
    services = cookix_services(compose(path))
    expect(services, "no server")
    for name, service in services.items():
        environment = {**image_environment(), **service.get("environment", {})}
        expect(all(isinstance(value, str) for value in environment.values()),
               f"{name}: a value is not text: {environment}")
        check_settings(cookixd, environment)


def check_compose_wiring(path):
    file = compose(path)
    kept = set()
    ports = set()
    for name, service in file["services"].items():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if source.startswith("."):
                continue
            expect(source in file["volumes"], f"{name}: the volume {source} is not declared")
            expect(source not in kept, f"two services write to the volume {source}")
            kept.add(source)
            expect(target in (DATA, "/var/lib/etcd"), f"{name}: nothing is kept in {target}")
        for port in service.get("ports", []):
            expect(port.startswith("127.0.0.1:"), f"{name}: {port} is open to everyone")
            expect(port.split(":")[1] not in ports, f"{name}: {port} is used twice")
            ports.add(port.split(":")[1])
        for other, how in service.get("depends_on", {}).items():
            expect("healthcheck" in file["services"][other] or
                   how["condition"] != "service_healthy", f"{other} has no health check")
        for secret in service.get("secrets", []):
            expect(secret in file.get("secrets", {}), f"{name}: the secret {secret} is not declared")
    expect(kept == set(file["volumes"]), "a volume is not used")


def check_members(path):
    servers = cookix_services(compose(path))
    expect(len(servers) == 3, f"{len(servers)} servers")
    founders = 0
    for name, service in servers.items():
        environment = service["environment"]
        expect(environment["COOKIX_ADVERTISE_ADDRESS"] == name + ":7625", f"{name}: its address")
        expect(environment["COOKIX_REPLICA_NAME"] == name, f"{name}: its name")
        expect("healthcheck" in service, f"{name} has no health check")
        key = environment["COOKIX_REPLICATION_KEY_FILE"]
        expect(key in ["/run/secrets/" + secret for secret in service["secrets"]],
               f"{name}: {key} is no secret")
        founders += environment.get("COOKIX_FOUND_CLUSTER") == "true"
    expect(founders == 1, f"{founders} servers found the cluster")


def variables(path):
    lines = [line for line in read(path).splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def check_unit(cookixd):
    unit = read("deploy/systemd/cookixd.service")
    [command] = re.findall(r"^ExecStart=/usr/local/bin/cookixd (.*)$", unit, re.MULTILINE)
    flags = shlex.split(command.replace("%S", "/var/lib")
                        .replace("/etc/cookix/cookix.yaml", "deploy/config/cookix.yaml"))
    check_settings(cookixd, {}, flags)
    [environment] = re.findall(r"^EnvironmentFile=-(.*)$", unit, re.MULTILINE)
    expect(environment == "/etc/cookix/cluster.env", environment)
    check_settings(cookixd, variables("deploy/systemd/cluster.env"), flags)


def check_etcd():
    etcd = shutil.which("etcd", path="/usr/bin:/usr/local/bin")
    if etcd is None:
        return
    known = set(re.findall(r"--([a-z-]+)", subprocess.run(
        [etcd, "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False).stdout))
    command = compose("deploy/compose.cluster.yaml")["services"]["etcd"]["command"]
    for flag in command[1:]:
        expect(flag.split("=")[0].lstrip("-") in known, f"etcd does not know {flag}")
    for name in variables("deploy/systemd/etcd.default"):
        flag = name.removeprefix("ETCD_").lower().replace("_", "-")
        expect(flag in known, f"etcd does not know {name}")


def main(cookixd):
    one, cluster = "deploy/compose.yaml", "deploy/compose.cluster.yaml"
    cases = {
        "compose.yaml has settings that the server takes":
            lambda: check_compose_settings(cookixd, one),
        "compose.yaml fits together": lambda: check_compose_wiring(one),
        "compose.cluster.yaml has settings that the server takes":
            lambda: check_compose_settings(cookixd, cluster),
        "compose.cluster.yaml fits together": lambda: check_compose_wiring(cluster),
        "compose.cluster.yaml makes a cluster": lambda: check_members(cluster),
        "the unit and cluster.env have settings that the server takes":
            lambda: check_unit(cookixd),
        "etcd knows its settings": check_etcd,
    }
    output = []
    for name, check in cases.items():
        try:
            check()
            output.append("ok " + name)
        except (AssertionError, KeyError, ValueError, yaml.YAMLError) as error:
            output += ["not ok " + name, str(error)]
    text = "\n".join(output)
    print(text)
    return 0 if script_cases.report("deploy", script_cases.parse(text), text) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
