"""The files that deploy the image: what they say is true of the image and the server."""

import re

import yaml

from packages import SOURCE, contains, equal, expect, run

DEPLOY = SOURCE / "service/host/deploy"
DATA = "/var/lib/leasehold"
# Where a read-only container must be able to write.
WRITTEN = {DATA, "/run/leasehold", "/tmp"}


def documents(name):
    with (DEPLOY / name).open() as file:
        return {document.get("kind", name): document
                for document in yaml.safe_load_all(file)}


def kubernetes_arguments():
    """Those of kubernetes.yaml's server."""
    return pod(documents("kubernetes.yaml")["StatefulSet"])["containers"][0]["args"]


def pod(stateful):
    return stateful["spec"]["template"]["spec"]


def options(program):
    """{name: whether it takes a value} of all that --help shows."""
    shown = run(program, "--help")
    return dict(re.findall(r"^  (?:-\w,)?(--[a-z-]+)(?: (\S+))?", shown, re.M))


def check_arguments(arguments, known, where):
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        expect(name in known, f"{where}: {name} is no option of leasehold-server")
        equal(bool(equals), bool(known[name]), f"{where}: value of {name}")


def seconds(text):
    return float(re.fullmatch(r"([\d.]+)s", text).group(1))


def drain_timeout(program):
    return seconds(re.search(r"--drain-timeout DURATION=(\S+)", run(program, "--help"))
                   .group(1))


def check_kubernetes(known, drain_s, settings, version):
    found = documents("kubernetes.yaml")
    equal(set(found), {"StatefulSet", "Service", "NetworkPolicy"}, "kinds")
    stateful = found["StatefulSet"]
    equal(stateful["spec"]["replicas"], 1, "processes of one data directory")
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    for where, selector in (
            ("StatefulSet", stateful["spec"]["selector"]["matchLabels"]),
            ("Service", found["Service"]["spec"]["selector"]),
            ("NetworkPolicy", found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"])):
        equal(selector, labels, f"whom the {where} selects")
    equal(found["Service"]["metadata"]["name"], stateful["spec"]["serviceName"], "Service")
    spec = pod(stateful)
    server, = spec["containers"]
    equal(server["image"], f"localhost/leasehold:{version}", "image")
    check_arguments(server["args"], known, "kubernetes.yaml")
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    equal(sorted(f"{port}/tcp" for port in ports.values()),
          sorted(settings["ExposedPorts"]), "ports")
    for port in found["Service"]["spec"]["ports"]:
        equal(ports[port["targetPort"]], port["port"], "a port of the Service")
    for port in found["NetworkPolicy"]["spec"]["ingress"][0]["ports"]:
        expect(port["port"] in ports, f"the NetworkPolicy lets in {port}")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        equal(server[probe]["grpc"], {"port": ports["grpc"]}, probe)
    user, group = map(int, settings["User"].split(":"))
    context = spec["securityContext"]
    equal((context["runAsUser"], context["runAsGroup"], context["fsGroup"],
           context["runAsNonRoot"]), (user, group, group, True), "user")
    equal(server["securityContext"], {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]}}, "securityContext")
    mounted = {mount["mountPath"]: mount["name"] for mount in server["volumeMounts"]}
    equal(set(mounted), WRITTEN, "what can be written")
    volumes = {volume["name"] for volume in spec["volumes"]} | {
        claim["metadata"]["name"] for claim in stateful["spec"]["volumeClaimTemplates"]}
    equal(set(mounted.values()), volumes, "volumes")
    expect(spec["terminationGracePeriodSeconds"] > drain_s, "no time to drain")
    return stateful


def check_tls(known, stateful, settings):
    patch = documents("kubernetes-tls.yaml")["kubernetes-tls.yaml"]
    server, = pod(patch)["containers"]
    base, = pod(stateful)["containers"]
    equal(server["name"], base["name"], "which container is patched")
    check_arguments(server["args"], known, "kubernetes-tls.yaml")
    # A list of arguments is replaced as a whole: what is not about TLS stays the same.
    equal({a for a in server["args"] if "tls" not in a},
          set(base["args"]) - {"--insecure"}, "arguments of both")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        equal(server[probe]["exec"]["command"], settings["Healthcheck"]["Test"][1:], probe)
        equal(server[probe]["grpc"], None, f"{probe} has one way only")
    mount, = server["volumeMounts"]
    for argument in server["args"]:
        if argument.startswith(("--tls-cert=", "--tls-key=")):
            contains(argument, f"={mount['mountPath']}/tls.", "a file of the Secret")


def check_compose(known, drain_s, settings, version):
    found = documents("compose.yaml")["compose.yaml"]
    server = found["services"]["leasehold"]
    equal(server["image"], f"localhost/leasehold:{version}", "image")
    check_arguments(server["command"], known, "compose.yaml")
    for port in server["ports"]:
        address, outside, inside = port.split(":")
        equal(address, "127.0.0.1", "plaintext beyond this machine")
        equal(outside, inside, "port")
        expect(f"{inside}/tcp" in settings["ExposedPorts"], f"no port {inside}")
    volume, path = server["volumes"][0].split(":")
    expect(volume in found["volumes"], f"no volume {volume}")
    equal({path, *(each.split(":")[0] for each in server["tmpfs"])}, WRITTEN,
          "what can be written")
    equal(server["healthcheck"]["test"], settings["Healthcheck"]["Test"], "health check")
    expect(seconds(server["stop_grace_period"]) > drain_s, "no time to drain")


def check(programs, settings, version):
    server = programs / "leasehold-server"
    known, drain_s = options(server), drain_timeout(server)
    stateful = check_kubernetes(known, drain_s, settings, version)
    check_tls(known, stateful, settings)
    check_compose(known, drain_s, settings, version)
    print("ok  the files for Kubernetes and compose fit the image and the server")
