/// An optional number that the JSON has even if it is unknown: as null. In a file of an older version it may be absent.
@propertyWrapper
package struct NullIfUnknown<Value: Codable & Sendable>: Codable, Sendable {
  package var wrappedValue: Value?

  package init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
  }
}

extension NullIfUnknown: Equatable where Value: Equatable {}

extension KeyedDecodingContainer {
  /// Called by synthesized initializers, so that an absent key is an unknown value.
  func decode<Value>(_ type: NullIfUnknown<Value>.Type, forKey key: Key) throws -> NullIfUnknown<Value> {
    try decodeIfPresent(type, forKey: key) ?? NullIfUnknown(wrappedValue: nil)
  }
}
