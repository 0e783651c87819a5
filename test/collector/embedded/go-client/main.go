// Package main drives a server through clickhouse-go over HTTP, once for each kind of compression,
// and prints what came back as one line of JSON each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

type outcome struct {
	Compression string            `json:"compression"`
	Display     string            `json:"display"`
	Version     string            `json:"version"`
	Written     int               `json:"written"`
	Read        uint64            `json:"read"`
	Sum         uint64            `json:"sum"`
	Name        string            `json:"name"`
	Time        string            `json:"time"`
	Tags        map[string]string `json:"tags"`
	Maybe       *float64          `json:"maybe"`
	Parameter   string            `json:"parameter"`
	ErrorCode   int32             `json:"errorCode"`
	ErrorName   string            `json:"errorName"`
	Denied      int32             `json:"denied"`
	WrongUser   string            `json:"wrongUser"`
}

const rows = 20000

func open(user, password string, method clickhouse.CompressionMethod) (clickhouse.Conn, error) {
	return clickhouse.Open(&clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        []string{os.Getenv("CLICKHOUSE_ADDRESS")},
		Auth:        clickhouse.Auth{Database: "default", Username: user, Password: password},
		Compression: &clickhouse.Compression{Method: method, Level: 3},
		Settings:    clickhouse.Settings{"max_execution_time": 20},
		DialTimeout: 5 * time.Second,
	})
}

func codeOf(err error) (int32, string) {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		return exception.Code, exception.Name
	}
	if err == nil {
		return 0, ""
	}
	return -1, err.Error()
}

func run(name string, method clickhouse.CompressionMethod) (outcome, error) {
	ctx := context.Background()
	result := outcome{Compression: name}
	writer, err := open("writer", os.Getenv("WRITER_PASSWORD"), method)
	if err != nil {
		return result, err
	}
	defer writer.Close()
	reader, err := open("reader", os.Getenv("READER_PASSWORD"), method)
	if err != nil {
		return result, err
	}
	defer reader.Close()
	if err := reader.Ping(ctx); err != nil {
		return result, fmt.Errorf("ping: %w", err)
	}
	hello, err := reader.ServerVersion()
	if err != nil {
		return result, fmt.Errorf("hello: %w", err)
	}
	result.Display = hello.DisplayName
	result.Version = hello.Version.String()
	table := "otel.go_" + name
	ddl := "CREATE TABLE " + table + " (id UInt64, name LowCardinality(String), time DateTime64(9), tags Map(LowCardinality(String), String), maybe Nullable(Float64)) ENGINE = MergeTree ORDER BY id"
	if err := writer.Exec(ctx, ddl); err != nil {
		return result, fmt.Errorf("create: %w", err)
	}
	batch, err := writer.PrepareBatch(ctx, "INSERT INTO "+table)
	if err != nil {
		return result, fmt.Errorf("prepare: %w", err)
	}
	start := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	for id := uint64(0); id < rows; id++ {
		var maybe *float64
		if id%2 == 1 {
			half := float64(id) / 2
			maybe = &half
		}
		if err := batch.Append(id, fmt.Sprintf("n%d", id%10), start, map[string]string{"key": fmt.Sprint(id)}, maybe); err != nil {
			return result, fmt.Errorf("append: %w", err)
		}
	}
	if err := batch.Send(); err != nil {
		return result, fmt.Errorf("send: %w", err)
	}
	result.Written = rows
	if err := reader.QueryRow(ctx, "SELECT count(), sum(id) FROM "+table).Scan(&result.Read, &result.Sum); err != nil {
		return result, fmt.Errorf("count: %w", err)
	}
	var when time.Time
	row := reader.QueryRow(ctx, "SELECT name, time, tags, maybe FROM "+table+" WHERE id = ?", 4321)
	if err := row.Scan(&result.Name, &when, &result.Tags, &result.Maybe); err != nil {
		return result, fmt.Errorf("row: %w", err)
	}
	result.Time = when.UTC().Format(time.RFC3339Nano)
	withParameter := clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"text": "it's"}))
	if err := reader.QueryRow(withParameter, "SELECT {text:String}").Scan(&result.Parameter); err != nil {
		return result, fmt.Errorf("parameter: %w", err)
	}
	result.ErrorCode, result.ErrorName = codeOf(reader.Exec(ctx, "SELECT nope FROM "+table))
	result.Denied, _ = codeOf(reader.Exec(ctx, "DROP TABLE "+table))
	wrong, err := open("reader", "wrong", method)
	if err == nil {
		err = wrong.Ping(ctx)
	}
	if err != nil {
		result.WrongUser = err.Error()
	}
	return result, nil
}

func main() {
	methods := []struct {
		name   string
		method clickhouse.CompressionMethod
	}{
		{"none", clickhouse.CompressionNone},
		{"lz4", clickhouse.CompressionLZ4},
		{"zstd", clickhouse.CompressionZSTD},
		{"gzip", clickhouse.CompressionGZIP},
		{"deflate", clickhouse.CompressionDeflate},
		{"br", clickhouse.CompressionBrotli},
	}
	failed := false
	for _, each := range methods {
		result, err := run(each.name, each.method)
		if err != nil {
			failed = true
			fmt.Fprintf(os.Stderr, "%s: %v\n", each.name, err)
			continue
		}
		line, _ := json.Marshal(result)
		fmt.Println(string(line))
	}
	if failed {
		os.Exit(1)
	}
}
