import Foundation
import Yams

/// One mapping of a YAML configuration, read key by key.
///
/// What was not asked for when ``finish()`` is called is an unknown key, and an error that names the file, the line, the
/// key and the keys that exist.
final class ConfigSection {
  private let file: String
  private let path: String
  private let line: Int
  private var values: [String: Node] = [:]
  private var keyLines: [String: Int] = [:]
  private var asked: [String] = []
  private var resolvedTexts: [String: String] = [:]

  private init(file: String, path: String, node: Node) throws {
    self.file = file
    self.path = path
    self.line = node.mark?.line ?? 1
    guard case .mapping(let mapping) = node else {
      throw Failure.cannotStart("\(file):\(line): '\(path)' must be a mapping of keys to values")
    }
    for (key, value) in mapping {
      guard let name = key.string else {
        throw Failure.cannotStart("\(file):\(key.mark?.line ?? line): a key must be text")
      }
      values[name] = value
      keyLines[name] = key.mark?.line ?? line
    }
  }

  /// Opens a configuration file.
  static func load(_ file: String) throws -> ConfigSection {
    let text: String
    do { text = try String(contentsOfFile: file, encoding: .utf8) } catch {
      throw Failure.cannotStart("\(file): cannot read the configuration: \(reason(error))")
    }
    do {
      guard let node = try Yams.compose(yaml: text) else {
        throw Failure.cannotStart("\(file): the configuration is empty; Config/demo/gateway.yaml is an example")
      }
      return try ConfigSection(file: file, path: "", node: node)
    } catch let error as YamlError {
      throw Failure.cannotStart("\(file): not valid YAML: \(error)".replacingOccurrences(of: "\n", with: " "))
    }
  }

  private func name(_ key: String) -> String { path.isEmpty ? key : path + "." + key }

  /// An error about the value of `key`.
  func error(_ key: String, _ text: String) -> Failure {
    .cannotStart("\(file):\(keyLines[key] ?? line): '\(name(key))' \(text)")
  }

  private func take(_ key: String) -> Node? {
    asked.append(key)
    guard let node = values.removeValue(forKey: key) else { return nil }
    if case .scalar(let scalar) = node, scalar.style == .plain, ["", "~", "null"].contains(scalar.string) {
      return nil
    }
    return node
  }

  private func missing(_ key: String) -> Failure {
    .cannotStart("\(file):\(line): '\(name(key))' is missing")
  }

  /// Text, or `nil` if the key is absent.
  func text(_ key: String) throws -> String? {
    guard let node = take(key) else { return nil }
    guard case .scalar(let scalar) = node else { throw error(key, "must be one value") }
    resolvedTexts[key] = scalar.string
    return scalar.string
  }

  func requiredText(_ key: String) throws -> String {
    guard let value = try text(key) else { throw missing(key) }
    return value
  }

  /// A value that is read from text by `parse`; `what` names the expected form in the error.
  func value<T>(_ key: String, _ what: String, _ parse: (String) -> T?) throws -> T? {
    guard let text = try text(key) else { return nil }
    guard let value = parse(text) else { throw error(key, "must be \(what), not '\(text)'") }
    return value
  }

  func requiredValue<T>(_ key: String, _ what: String, _ parse: (String) -> T?) throws -> T {
    guard let value = try value(key, what, parse) else { throw missing(key) }
    return value
  }

  /// A whole number within `range`; decimal or 0x hexadecimal.
  func integer(_ key: String, in range: ClosedRange<Int>) throws -> Int? {
    try value(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
      let number = text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
      return number.flatMap { range.contains($0) ? $0 : nil }
    }
  }

  func boolean(_ key: String) throws -> Bool? {
    try value(key, "true or false") { ["true": true, "false": false][$0] }
  }

  /// A list of texts; absent is empty.
  func texts(_ key: String) throws -> [String] {
    guard let node = take(key) else { return [] }
    guard case .sequence(let sequence) = node else { throw error(key, "must be a list") }
    return try sequence.map {
      guard let text = $0.string else { throw error(key, "must be a list of texts") }
      return text
    }
  }

  /// A nested mapping; `nil` if absent.
  func section(_ key: String) throws -> ConfigSection? {
    guard let node = take(key) else { return nil }
    return try ConfigSection(file: file, path: name(key), node: node)
  }

  func requiredSection(_ key: String) throws -> ConfigSection {
    guard let section = try section(key) else { throw missing(key) }
    return section
  }

  /// A list of mappings; absent is empty.
  func sections(_ key: String) throws -> [ConfigSection] {
    guard let node = take(key) else { return [] }
    guard case .sequence(let sequence) = node else { throw error(key, "must be a list") }
    return try sequence.enumerated().map { index, item in
      try ConfigSection(file: file, path: "\(name(key))[\(index)]", node: item)
    }
  }

  /// A path, relative to the folder of the configuration file.
  func requiredPath(_ key: String) throws -> String { resolve(try requiredText(key)) }

  /// A path, relative to the folder of the configuration file; `nil` if absent.
  func path(_ key: String) throws -> String? { try text(key).map(resolve) }

  /// The value of a key that was read before, as a path.
  func resolved(_ key: String) throws -> String { resolve(resolvedTexts[key] ?? "") }

  /// Whether there is such a key.
  func holds(_ key: String) -> Bool { values[key] != nil }

  private func resolve(_ value: String) -> String {
    if value.hasPrefix("/") { return value }
    return URL(fileURLWithPath: file).deletingLastPathComponent().appendingPathComponent(value).path
  }

  /// Throws if keys are left that nobody asked for.
  func finish() throws {
    guard let unknown = values.keys.min(by: { (keyLines[$0] ?? 0) < (keyLines[$1] ?? 0) }) else { return }
    let known = asked.sorted().joined(separator: ", ")
    throw Failure.cannotStart(
      "\(file):\(keyLines[unknown] ?? line): unknown key '\(name(unknown))'; known here: \(known)")
  }
}

/// A short reason from a Foundation error: what the system said, without the path that the caller names.
func reason(_ error: any Error) -> String {
  let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
  if underlying.domain == NSPOSIXErrorDomain {
    return String(
      describing: POSIXErrorCode(rawValue: Int32(underlying.code)).map { POSIXError($0).localizedDescription }
        ?? "error \(underlying.code)")
  }
  if (error as NSError).code == NSFileReadNoSuchFileError { return "no such file" }
  if (error as NSError).code == NSFileReadNoPermissionError { return "no permission" }
  return error.localizedDescription
}
