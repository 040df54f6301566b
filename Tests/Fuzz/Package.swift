// swift-tools-version: 6.2
import PackageDescription

// Fuzz targets, apart from the main package so that only they have unsafe flags. Each is a folder of Sources; tools/fuzz
// builds and runs them.
let names = [
  "fuzz-capture", "fuzz-cbor", "fuzz-coap", "fuzz-coap-exchange", "fuzz-coap-stream", "fuzz-cose", "fuzz-decode",
  "fuzz-edhoc", "fuzz-envelope", "fuzz-ieee802154", "fuzz-ipv6", "fuzz-lowpan-headers", "fuzz-lowpan-reassembly",
  "fuzz-mac", "fuzz-oscore", "fuzz-queue", "fuzz-spinel",
]

let package = Package(
  name: "fuzz",
  products: names.map { .executable(name: $0, targets: [$0]) },
  dependencies: [.package(name: "pangate", path: "../..")],
  targets: names.map {
    .executableTarget(
      name: $0,
      dependencies: [
        .product(name: "PangateCore", package: "pangate"), .product(name: "PangateHost", package: "pangate"),
      ],
      swiftSettings: [.enableExperimentalFeature("Lifetimes"), .unsafeFlags(["-parse-as-library"])])
  }
)
