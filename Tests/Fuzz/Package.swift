// swift-tools-version: 6.2
import PackageDescription

// Fuzz targets, apart from the main package so that only they have unsafe flags. Each is a folder of Sources; tools/fuzz
// builds and runs them.
let names = [
  "fuzz-capture", "fuzz-cbor", "fuzz-coap", "fuzz-coap-exchange", "fuzz-coap-stream", "fuzz-cose", "fuzz-decode",
  "fuzz-edhoc", "fuzz-envelope", "fuzz-ieee802154", "fuzz-ipv6", "fuzz-lowpan-headers", "fuzz-lowpan-reassembly",
  "fuzz-mac", "fuzz-oscore", "fuzz-queue", "fuzz-relay", "fuzz-spinel",
]

/// What one target uses beside the modules of the core.
let more: [String: [Target.Dependency]] = [
  "fuzz-relay": [
    .product(name: "PangateRelay", package: "pangate"), .product(name: "CoreMetrics", package: "swift-metrics"),
    .product(name: "Crypto", package: "swift-crypto"), .product(name: "Logging", package: "swift-log"),
    .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
  ]
]

let package = Package(
  name: "fuzz",
  products: names.map { .executable(name: $0, targets: [$0]) },
  dependencies: [
    .package(name: "pangate", path: "../.."),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
  ],
  targets: names.map {
    .executableTarget(
      name: $0,
      dependencies: [
        .product(name: "PangateCore", package: "pangate"), .product(name: "PangateHost", package: "pangate"),
      ] + more[$0, default: []],
      swiftSettings: [.enableExperimentalFeature("Lifetimes"), .unsafeFlags(["-parse-as-library"])])
  }
)
