// swift-tools-version: 6.2
import Foundation
import PackageDescription

// Fuzz targets, apart from the main package so that only they have unsafe flags. Each directory of Sources is one;
// tools/fuzz builds and runs them.
let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Sources")
let names = ((try? FileManager.default.contentsOfDirectory(atPath: sources.path)) ?? []).filter {
  $0.hasPrefix("fuzz-")
}.sorted()

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
