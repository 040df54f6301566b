// swift-tools-version: 6.2
import PackageDescription

// swift package --package-path Benchmarks benchmark
let package = Package(
  name: "benchmarks",
  dependencies: [
    .package(name: "pangate", path: ".."),
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.0", traits: []),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
  ],
  targets: [
    .executableTarget(
      name: "PangateBenchmarks",
      dependencies: [
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "PangateCore", package: "pangate"), .product(name: "PangateHost", package: "pangate"),
        .product(name: "PangateRelay", package: "pangate"),
        .product(name: "Benchmark", package: "benchmark"),
      ],
      path: "Benchmarks/PangateBenchmarks",
      swiftSettings: [.enableExperimentalFeature("Lifetimes")],
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
  ]
)
