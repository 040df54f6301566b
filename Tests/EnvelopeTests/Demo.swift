import Envelope
import Foundation

/// The demo home's files, Config/demo.
enum Demo {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Config/demo")

  static let names = [
    "oracle", "gateway", "relay", "owner", "phone2", "lock", "thermostat", "occupancy", "rain", "temperature",
  ]

  static func text(_ file: String) throws -> String {
    try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
  }

  static func bytes(_ file: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: folder.appendingPathComponent(file)))
  }

  static func identity(_ name: String) throws -> Identity {
    try IdentityFile.identity(text("\(name).pem"), file: "\(name).pem")
  }
}
