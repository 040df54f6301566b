// swift-tools-version: 6.2
import PackageDescription

/// One SwiftPM target for each module of Docs/ARCHITECTURE.md; arrows point down only.
/// A target lists every module it imports, so a missing line here is a compile error there.
let package = Package(
  name: "pangate",
  products: [
    .executable(name: "pangate", targets: ["pangate"]),
    .executable(name: "pangate-bench", targets: ["pangate-bench"]),
    .library(
      name: "PangateCore",
      targets: [
        "Wire", "IEEE802154", "IPv6", "SixLoWPAN", "CoAP", "COSE", "OSCORE", "Envelope", "MemberSecurity", "Queue",
        "BorderRouter",
      ]),
    .library(name: "PangateHost", targets: ["Bridge", "Radio"]),
    .library(name: "PangateRelay", targets: ["Relay"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // System libraries.
    .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CNATS", pkgConfig: "libnats", providers: [.apt(["libnats-dev"])]),
    .systemLibrary(name: "CNetlink", pkgConfig: "libnl-genl-3.0", providers: [.apt(["libnl-genl-3-dev"])]),

    // The sans-I/O core.
    .target(name: "Wire"),
    .target(name: "IEEE802154", dependencies: ["Wire", "CCrypto"]),
    .target(name: "IPv6", dependencies: ["Wire"]),
    .target(name: "SixLoWPAN", dependencies: ["Wire", "IEEE802154", "IPv6"]),
    .target(name: "CoAP", dependencies: ["Wire"]),
    .target(
      name: "COSE",
      dependencies: ["Wire", "CCrypto", .product(name: "Crypto", package: "swift-crypto")]),
    .target(
      name: "OSCORE",
      dependencies: ["Wire", "CoAP", "COSE", .product(name: "Crypto", package: "swift-crypto")]),
    .target(
      name: "Envelope",
      dependencies: [
        "Wire", "COSE", .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "X509", package: "swift-certificates"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
      ]),
    .target(
      name: "MemberSecurity",
      dependencies: [
        "Wire", "CoAP", "COSE", "OSCORE", "Envelope", .product(name: "Crypto", package: "swift-crypto"),
      ]),
    .target(name: "Queue", dependencies: ["Wire"]),
    .target(
      name: "BorderRouter", dependencies: ["Wire", "IEEE802154", "IPv6", "SixLoWPAN", "CoAP"]),
    .target(
      name: "Bridge",
      dependencies: [
        "Wire", "IEEE802154", "IPv6", "CoAP", "COSE", "OSCORE", "Envelope", "MemberSecurity", "Queue",
        "BorderRouter", .product(name: "Crypto", package: "swift-crypto"),
      ]),
    // The other side of the radio, for tests and simulations: a reference node.
    .target(
      name: "Node",
      dependencies: [
        "Wire", "IEEE802154", "IPv6", "SixLoWPAN", "CoAP", "COSE", "OSCORE", "Envelope", "MemberSecurity",
        "BorderRouter", .product(name: "Crypto", package: "swift-crypto"),
      ]),

    // What each attack achieves against each kind of traffic: for the tests and for Docs/THREATS.md.
    .target(name: "AttackMatrix", dependencies: ["Wire"]),
    .executableTarget(name: "pangate-matrix", dependencies: ["AttackMatrix"]),

    // The thin shell.
    .target(
      name: "Radio",
      dependencies: [
        "Wire", "IEEE802154", "IPv6", "CPcap", "CNetlink", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),
    .target(
      name: "Relay",
      dependencies: [
        "Wire", "COSE", "Envelope", "CoAP", "Queue", "CNATS",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "GRDB", package: "GRDB.swift"), .product(name: "GRDBSQLite", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"), .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"), .product(name: "NIOWebSocket", package: "swift-nio"),
      ]),
    .target(
      name: "Oracle",
      dependencies: ["Wire", "COSE", "Envelope", .product(name: "Crypto", package: "swift-crypto")]),
    .executableTarget(
      name: "pangate",
      dependencies: [
        "Wire", "IEEE802154", "IPv6", "SixLoWPAN", "CoAP", "COSE", "OSCORE", "Envelope", "Queue",
        "BorderRouter", "Bridge", "Node", "Radio", "Relay", "Oracle",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "CoreMetrics", package: "swift-metrics"), .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"), .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"), .product(name: "Yams", package: "Yams"),
      ]),
    .executableTarget(
      name: "pangate-bench",
      dependencies: ["Wire", "IEEE802154", "IPv6", "SixLoWPAN", "CoAP", "BorderRouter", "Radio"]),

    .executableTarget(
      name: "pangate-load",
      dependencies: [
        "Wire", "Envelope", "Relay", .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),

    // Tests.
    .target(name: "TestSupport", dependencies: ["Wire"], path: "Tests/TestSupport"),
  ]
)

/// What tests of a module use beside the module and what it depends on.
let peers: [String: [String]] = [
  "BorderRouter": ["Radio"], "Bridge": ["Relay", "Node"], "Node": ["Bridge", "Oracle"],
  "Simulation": ["Node", "Bridge", "Relay"], "AttackMatrix": ["Node", "Bridge", "Relay", "Oracle"],
]

/// Tests of module X live in Tests/XTests. "Simulation" is no module: a whole home, of all of them.
for module in [
  "Wire", "IEEE802154", "IPv6", "SixLoWPAN", "CoAP", "COSE", "OSCORE", "Envelope", "MemberSecurity", "Queue",
  "BorderRouter", "Bridge", "Radio", "Relay", "Oracle", "pangate", "Node", "Simulation", "AttackMatrix",
] {
  let subjects = ([module] + peers[module, default: []]).compactMap { name in
    package.targets.first { $0.name == name }
  }
  let dependencies = subjects.flatMap(\.dependencies) + subjects.map { .byName(name: $0.name) } + ["TestSupport"]
  var seen: Set<String> = []
  package.targets.append(
    .testTarget(name: module + "Tests", dependencies: dependencies.filter { seen.insert("\($0)").inserted }))
}

for target in package.targets where target.type != .system {
  target.swiftSettings = [
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
  ]
  // A warning is for whoever writes the code, an error where it is judged.
  if Context.environment["CI"] != nil { target.swiftSettings?.append(.treatAllWarnings(as: .error)) }
}
