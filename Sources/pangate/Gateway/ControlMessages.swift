import Foundation
import Relay

/// What is asked over the control socket: one JSON object a line.
enum ControlRequest: Codable, Sendable, Equatable {
  /// How the gateway does.
  case status
  /// A command of the owner whose endpoint is in the gateway's process: `lock: PUT /lock open`.
  case send(String)
  /// How the relay does.
  case relayStatus
  /// Write a copy of the relay's store to this file.
  case backup(String)
}

/// What is answered, one JSON object a line.
enum ControlReply: Codable, Sendable {
  case status(GatewayStatus)
  /// The command was given, under this sequence number.
  case sent(sequence: UInt64)
  case relayStatus(RelayStatus)
  case done
  case error(String)
}

/// Lines of JSON.
enum ControlCoding {
  /// Bytes of a line at most.
  static let maximumRequest = 4096

  static func encode(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.withoutEscapingSlashes]
    return Array((try? encoder.encode(value)) ?? Data("{}".utf8)) + [0x0a]
  }

  static func decode<T: Decodable>(_ type: T.Type, _ line: [UInt8]) -> T? {
    try? JSONDecoder().decode(type, from: Data(line))
  }
}
