import Foundation

/// The built `pangate`, for tests that run it as its users do.
enum Executable {
  /// What a run gave.
  struct Result {
    var status: Int32
    var stdout: String
    var stderr: String
  }

  /// The package's root folder.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The folder with the products of the build, where the test bundle is, too.
  static let products: URL = {
    // On Linux the bundle of the tests is the running program; elsewhere it is loaded by one, and is an argument of it.
    let candidates = [Bundle.main.executablePath ?? ""] + ProcessInfo.processInfo.arguments
    for candidate in candidates {
      var folder = URL(fileURLWithPath: candidate).deletingLastPathComponent()
      while folder.path.count > 1 {
        if FileManager.default.isExecutableFile(atPath: folder.appendingPathComponent("pangate").path) {
          return folder
        }
        folder.deleteLastPathComponent()
      }
    }
    return root
  }()

  /// Runs `pangate` with the package's root as current folder, and waits for its end.
  ///
  /// Its streams are files, so that no pipe can fill up and block it. `status` is the exit code, or minus the signal.
  static func run(_ arguments: [String], stdin: [UInt8] = []) throws -> Result {
    try run(products.appendingPathComponent("pangate"), arguments, stdin: stdin)
  }

  /// Runs another program in the same way.
  static func run(_ program: URL, _ arguments: [String], stdin: [UInt8] = []) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "pangate-run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = ["stdin", "stdout", "stderr"].map { folder.appendingPathComponent($0) }
    try Data(stdin).write(to: files[0])
    for file in files.dropFirst() { try Data().write(to: file) }

    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.currentDirectoryURL = root
    process.standardInput = try FileHandle(forReadingFrom: files[0])
    process.standardOutput = try FileHandle(forWritingTo: files[1])
    process.standardError = try FileHandle(forWritingTo: files[2])
    try process.run()
    process.waitUntilExit()
    return Result(
      status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
      stdout: String(decoding: try Data(contentsOf: files[1]), as: UTF8.self),
      stderr: String(decoding: try Data(contentsOf: files[2]), as: UTF8.self))
  }
}
